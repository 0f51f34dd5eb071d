"""Desks, closed at the end of their test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.errors import FerryError
from schemas.settings import Settings
from tests.eventlog.transactions.desk import Desk, in_postgres


@pytest.fixture
def make_desk(settings: Settings) -> Iterator[Callable[..., Desk]]:
    """Return desks; keywords go to the desk."""
    desks: list[Desk] = []

    def make(given: Settings | None = None, **more: Any) -> Desk:
        desks.append(Desk(given or in_postgres(settings), **more))
        return desks[-1]

    yield make
    for desk in desks:
        try:
            desk.close()
        except FerryError:  # a test may have halted it
            continue


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A desk with an empty outbox."""
    return make_desk()
