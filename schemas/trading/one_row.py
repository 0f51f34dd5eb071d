"""Kinds whose entity is one row of one table, its fields the columns in their order."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import astuple

from schemas.tables import Row, Table

Event = TypeVar("Event", bound=msgspec.Struct)


def rows_in(table: Table) -> Callable[[Any], tuple[tuple[Table, Row], ...]]:
    """Return a kind's `rows`: an entity's fields are its row."""
    return lambda entity: ((table, astuple(entity)),)


def snapshot_as(event: type[Event]) -> Callable[[Any], Event]:
    """Return a kind's `snapshot`: the event has the entity's fields."""
    return lambda entity: event(*astuple(entity))
