"""Many changes of a batch into at most one a row, so that one statement a table applies them.

PostgreSQL refuses an upsert that touches a row twice; folding in Python is also cheaper than
letting the database write the same row several times. What a batch demands of the table is what
its first change of each row demands, so the same events are refused wherever batches are cut.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from schemas.errors import FerryError
from schemas.tables import Insert, Key, Patch, Row, Table, Upsert, key_text


class Op(IntEnum):
    """What must be in the table, and what becomes of it; the numbers stand in the statements."""

    INSERT = 0
    """No row before, this row after."""
    UPSERT = 1
    """This row after."""
    PATCH = 2
    """A row before, which takes new values."""
    DELETE = 3
    """A row before, none after."""
    DISCARD = 4
    """No row after: it was upserted and deleted."""
    REPLACE = 5
    """A row before, this row after: it was deleted or changed, and written anew."""
    VANISH = 6
    """No row before and none after: it was inserted and deleted."""


_GONE = frozenset({Op.DELETE, Op.DISCARD, Op.VANISH})
_WHOLE = frozenset({Op.INSERT, Op.UPSERT, Op.REPLACE})
_WRITTEN = {
    Op.INSERT: Op.INSERT, Op.VANISH: Op.INSERT, Op.UPSERT: Op.UPSERT, Op.DISCARD: Op.UPSERT,
    Op.PATCH: Op.REPLACE, Op.REPLACE: Op.REPLACE, Op.DELETE: Op.REPLACE,
}  # fmt: skip
"""What a row that is written whole becomes, by what came before."""
_DELETED = {
    Op.INSERT: Op.VANISH, Op.UPSERT: Op.DISCARD, Op.PATCH: Op.DELETE, Op.REPLACE: Op.DELETE,
}  # fmt: skip


class ChangeRefused(FerryError):
    """A change does not fit the row's state: an insert of what is there, a patch of what is not."""

    def __init__(self, what: str, table: str, key: Key) -> None:
        self.table, self.key = table, key
        super().__init__(what, where=f"table {table}, key {key_text(key)}")


class TableFold:
    """The net change of each key of one table: (op, whole row), or (op, new values by column)."""

    __slots__ = ("_columns", "_key_place", "_key_places", "changes", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.changes: dict[Key, tuple[Op, Any]] = {}
        self._columns = {column: place for place, column in enumerate(table.columns)}
        self._key_places = tuple(self._columns[column] for column in table.key)
        self._key_place = self._key_places[0] if len(self._key_places) == 1 else None

    def put(self, row: Row, *, fresh: bool) -> None:
        """Fold an insert (`fresh`) or an upsert of a whole row."""
        place = self._key_place
        key = tuple([row[p] for p in self._key_places]) if place is None else (row[place],)
        change = (Op.INSERT if fresh else Op.UPSERT, row)
        before = self.changes.setdefault(key, change)
        if before is change:
            return
        op = before[0]
        if fresh and op not in _GONE:
            raise ChangeRefused("a row is inserted that is there already", self.table.name, key)
        self.changes[key] = (_WRITTEN[op], row)

    def patch(self, key: Key, values: dict[str, Any]) -> None:
        """Fold new values for some columns."""
        before = self.changes.get(key)
        if before is None:
            self.changes[key] = (Op.PATCH, values)
            return
        op, present = before
        if op is Op.PATCH:
            self.changes[key] = (op, present | values)
        elif op in _WHOLE:
            row = list(present)
            for column, value in values.items():
                row[self._columns[column]] = value
            self.changes[key] = (op, tuple(row))
        else:
            raise ChangeRefused("a row is changed that was deleted", self.table.name, key)

    def delete(self, key: Key) -> None:
        """Fold the end of a row."""
        before = self.changes.get(key)
        if before is None:
            self.changes[key] = (Op.DELETE, None)
        elif before[0] in _GONE:
            raise ChangeRefused("a row is deleted twice", self.table.name, key)
        else:
            self.changes[key] = (_DELETED[before[0]], None)


class Fold:
    """The net changes of a batch, table by table."""

    __slots__ = ("tables",)

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: TableFold(table) for table in tables}

    def add(self, change: Any) -> None:
        """Fold one `Change` in; raises ChangeRefused where it contradicts the ones before it."""
        table = self.tables[change.table.name]
        # By exact type: a match statement costs a microsecond an event here.
        kind = type(change)
        if kind is Insert or kind is Upsert:
            table.put(change.row, fresh=kind is Insert)
        elif kind is Patch:
            table.patch(change.key, change.changes)
        else:
            table.delete(change.key)
