"""Many changes of a batch into at most one a row, so that one statement a table applies them.

PostgreSQL refuses an upsert that touches a row twice; folding in Python is also cheaper than
letting the database write the same row several times.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from schemas.errors import FerryError
from schemas.tables import Insert, Key, Patch, Row, Table, Upsert, key_text


class Op(IntEnum):
    """What the staged row means; the numbers stand in the apply statements."""

    INSERT = 0
    UPSERT = 1
    PATCH = 2
    DELETE = 3
    DISCARD = 4
    """Delete the row if it is there: it was upserted and deleted within one batch."""


class ChangeRefused(FerryError):
    """A change does not fit the row's state: an insert of what is there, a patch of what is not."""

    def __init__(self, what: str, table: str, key: Key) -> None:
        self.table, self.key = table, key
        super().__init__(what, where=f"table {table}, key {key_text(key)}")


class TableFold:
    """The net change of each key of one table: (op, whole row), or (op, new values by column)."""

    __slots__ = ("_columns", "_key_places", "changes", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.changes: dict[Key, tuple[Op, Any]] = {}
        self._columns = {column: place for place, column in enumerate(table.columns)}
        self._key_places = tuple(self._columns[column] for column in table.key)

    def put(self, row: Row, *, fresh: bool) -> None:
        """Fold an insert (`fresh`) or an upsert of a whole row."""
        places = self._key_places
        key = (row[places[0]],) if len(places) == 1 else tuple(row[place] for place in places)
        before = self.changes.get(key)
        if before is None:
            self.changes[key] = (Op.INSERT if fresh else Op.UPSERT, row)
            return
        op = before[0]
        if fresh and op not in {Op.DELETE, Op.DISCARD}:
            raise ChangeRefused("a row is inserted that is there already", self.table.name, key)
        self.changes[key] = (Op.INSERT if op is Op.INSERT else Op.UPSERT, row)

    def patch(self, key: Key, values: dict[str, Any]) -> None:
        """Fold new values for some columns."""
        before = self.changes.get(key)
        if before is None:
            self.changes[key] = (Op.PATCH, values)
            return
        op, present = before
        if op is Op.PATCH:
            self.changes[key] = (op, present | values)
        elif op in {Op.INSERT, Op.UPSERT}:
            row = list(present)
            for column, value in values.items():
                row[self._columns[column]] = value
            self.changes[key] = (op, tuple(row))
        else:
            raise ChangeRefused("a row is changed that was deleted", self.table.name, key)

    def delete(self, key: Key) -> None:
        """Fold the end of a row."""
        before = self.changes.get(key)
        op = None if before is None else before[0]
        if op is Op.INSERT:
            del self.changes[key]
        elif op is Op.UPSERT:
            self.changes[key] = (Op.DISCARD, None)
        elif op in {Op.DELETE, Op.DISCARD}:
            raise ChangeRefused("a row is deleted twice", self.table.name, key)
        else:
            self.changes[key] = (Op.DELETE, None)


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
