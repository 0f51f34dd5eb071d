"""Many changes of a batch into at most one a row, so that one statement a table applies them.

PostgreSQL refuses an upsert that touches a row twice; folding in Python is also cheaper than
letting the database write the same row several times. What a batch demands of the table is what
its first change of each row demands, so the same events are refused wherever batches are cut.
"""

from collections.abc import Iterable
from enum import IntEnum
from operator import itemgetter
from typing import Any

from schemas.errors import FerryError
from schemas.tables import Change, Insert, Key, Patch, Row, Table, Upsert, key_text


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
    PASSED = 7
    """A whole row that a later event of the batch replaced; it must have been possible."""
    PASSED_PATCH = 8
    """Likewise the new values that a row had in between."""


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

    __slots__ = ("_columns", "changes", "key_of", "key_place", "passed", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.changes: dict[Key, tuple[Op, Any]] = {}
        self.passed: list[tuple[Key, tuple[Op, Any]]] = []
        """What rows were between two events: events apart would have written it."""
        self._columns = {column: place for place, column in enumerate(table.columns)}
        places = [self._columns[column] for column in table.key]
        self.key_place = places[0] if len(places) == 1 else None
        """Where the key is, if it is one column."""
        self.key_of = itemgetter(*places)
        """Row → key, if it is several."""

    def put(self, row: Row, *, fresh: bool) -> None:
        """Fold an insert (`fresh`) or an upsert of a whole row."""
        place = self.key_place
        key = self.key_of(row) if place is None else (row[place],)
        change = (Op.INSERT if fresh else Op.UPSERT, row)
        before = self.changes.setdefault(key, change)
        if before is change:
            return
        op = before[0]
        if fresh and op not in _GONE:
            raise ChangeRefused("a row is inserted that is there already", self.table.name, key)
        self._pass(key, before)
        self.changes[key] = (_WRITTEN[op], row)

    def patch(self, key: Key, values: dict[str, Any]) -> None:
        """Fold new values for some columns."""
        before = self.changes.get(key)
        if before is None:
            self.changes[key] = (Op.PATCH, values)
            return
        op, present = before
        self._pass(key, before)
        if op is Op.PATCH:
            self.changes[key] = (op, present | values)
        elif op in _WHOLE:
            row = list(present)
            for column, value in values.items():
                if column in self.table.key:
                    raise ChangeRefused("a patch changes a key column", self.table.name, key)
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
            self._pass(key, before)
            self.changes[key] = (_DELETED[before[0]], None)

    def _pass(self, key: Key, before: tuple[Op, Any]) -> None:
        op, content = before
        if op in _WHOLE:
            self.passed.append((key, (Op.PASSED, content)))
        elif op is Op.PATCH:
            self.passed.append((key, (Op.PASSED_PATCH, content)))


class Fold:
    """The net changes of a batch, table by table."""

    __slots__ = ("_by_id", "tables")

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: TableFold(table) for table in tables}
        self._by_id = {id(fold.table): fold for fold in self.tables.values()}

    def add(self, change: Change) -> None:
        """Fold one `Change` in; raises ChangeRefused where it contradicts the ones before it."""
        self.add_all((change,))

    def add_all(self, changes: Iterable[Any]) -> None:
        """Fold changes in, one after the other; raises ChangeRefused."""
        by_id, insert = self._by_id, Op.INSERT
        for change in changes:
            # A handler's table is mostly the very object; its name says which in any case.
            table = by_id.get(id(change.table)) or self.tables[change.table.name]
            # By exact type: a match statement costs a microsecond an event here.
            kind = type(change)
            if kind is Insert:
                # `put` of most rows there are, without its call.
                row, place = change.row, table.key_place
                new = (insert, row)
                key = table.key_of(row) if place is None else (row[place],)
                if table.changes.setdefault(key, new) is not new:
                    table.put(row, fresh=True)
            elif kind is Upsert:
                table.put(change.row, fresh=False)
            elif kind is Patch:
                table.patch(change.key, change.changes)
            else:
                table.delete(change.key)
