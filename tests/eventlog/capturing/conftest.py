"""The app, on an outbox of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import FerryError
from tests.eventlog.capturing.app import App
from tests.eventlog.recorded.making import Book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "outbox.db")
    yield made
    try:
        made.close()
    except FerryError:  # a test may have closed it
        return


@pytest.fixture
def app(book: Book) -> App:
    return App(book)
