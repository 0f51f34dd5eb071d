"""What a handler may do to a table: insert, upsert, patch or delete one row by its key."""

import datetime
from typing import Any, TypeAlias

import msgspec

Row: TypeAlias = tuple[Any, ...]
"""Column values in the order of `Table.columns`: str, int, bool, Decimal, datetime (UTC), None, or
a dict or list for a jsonb column."""
Key: TypeAlias = tuple[Any, ...]
"""Values of `Table.key`, in its order."""

MONTHS_BEGIN = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
MONTHS_END = datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC)
"""Tables by month take times from the first up to the second, which is out of it: a time beyond is
a mistake of units, and each wrong one would make a partition of its own."""
_NAME_MOST = 63 - len("_2026_11")


class Table(msgspec.Struct, frozen=True):
    """A projection's table as the handlers see it; its types stand in the domain's .sql file.

    `windowed`: memory holds only the newest rows of each stream, the log and the table hold all
    (eviction from memory is not deletion from history).
    `months`: the timestamptz column of the key by which the DDL partitions the table in ranges; the
    projector makes the partition of each calendar month (UTC) that a new row needs.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    windowed: bool = False
    months: str | None = None

    def __post_init__(self) -> None:
        missing = set(self.key) - set(self.columns)
        if missing or not self.key or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"table {self.name}: columns must be distinct and hold its key")
        if self.months is not None and self.months not in self.key:
            raise ValueError(f"table {self.name}: its months must be a column of its key")
        if self.months is not None and len(self.name) > _NAME_MOST:
            raise ValueError(f"table {self.name}: months leave a name {_NAME_MOST} characters")

    def key_of(self, row: Row) -> Key:
        """Return the key of a row."""
        return tuple(row[self.columns.index(column)] for column in self.key)

    def __hash__(self) -> int:
        return hash(self.name)


class Insert(msgspec.Struct, frozen=True, gc=False):
    """A new row; the key must not be in the table."""

    table: Table
    row: Row


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """A whole row, whether or not the key is in the table."""

    table: Table
    row: Row


class Patch(msgspec.Struct, frozen=True, gc=False):
    """New values for some columns of a row that must be in the table; not for key columns."""

    table: Table
    key: Key
    changes: dict[str, Any]


class Delete(msgspec.Struct, frozen=True, gc=False):
    """The end of a row that must be in the table."""

    table: Table
    key: Key


Change: TypeAlias = Insert | Upsert | Patch | Delete


def within_months(value: datetime.datetime) -> bool:
    """Say whether a table by month has a place for a time; aware times only."""
    return MONTHS_BEGIN <= value < MONTHS_END


def key_text(key: Key) -> str:
    """Write a key for people and for comparison: the same text wherever the key was read."""
    return "/".join(
        value.astimezone(datetime.UTC).isoformat()
        if isinstance(value, datetime.datetime)
        else str(value)
        for value in key
    )
