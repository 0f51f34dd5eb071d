"""Books on an outbox of their own, closed at the end of their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.errors import FerryError
from tests.eventlog.recorded.making import Book


@pytest.fixture
def make_book(tmp_path: Path) -> Iterator[Callable[..., Book]]:
    """Return books, each on the path given or one that is new."""
    books: list[Book] = []

    def make(path: Path | None = None) -> Book:
        books.append(Book(path or tmp_path / f"{len(books)}.db"))
        return books[-1]

    yield make
    for book in books:
        try:
            book.close()
        except FerryError:  # a test may have closed or broken it
            continue


@pytest.fixture
def book(make_book: Callable[..., Book]) -> Book:
    return make_book()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """One for a whole module, whose tests give their collections names of their own."""
    book = Book(tmp_path_factory.mktemp("shared") / "outbox.db")
    yield book
    book.close()
