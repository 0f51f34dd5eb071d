"""A folded batch into its tables: new rows by COPY, all else staged by COPY, then one statement a
table and operation.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from time import perf_counter
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from projector.copy_text import copy_rows, require_scalars
from projector.fold import ChangeRefused, Fold, Op, TableFold
from projector.months import Months
from projector.stages import Stages
from projector.targets import Statements, Target
from schemas.tables import Key, Row, Table

_CHUNK_ROWS = 1_000
FEW_ROWS = 300
"""Up to so many rows of a table go as a parameter; COPY overtakes near 500."""
_encode = msgspec.json.Encoder(order="deterministic").encode
_key_of_change = itemgetter(0)


class Applier:
    """Applies folds over one connection, in the caller's transactions.

    The staging tables are temporary: they belong to the connection and are empty at each commit.
    Few rows go without them, as a parameter: emptying the stages costs milliseconds at each commit.
    Without `sorted_inserts` new rows go in the order of their events: for one who has the tables to
    himself, and so waits for nobody's locks.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        tables: Iterable[Table],
        stages: Stages | None = None,
        few_rows: int = FEW_ROWS,
        *,
        sorted_inserts: bool = True,
    ) -> None:
        self._conn = conn
        self._sorted_inserts = sorted_inserts
        self._few_rows = few_rows
        self._stages = stages or Stages()
        tables = tuple(tables)
        self._targets = {
            table.name: Target(conn, schema, table, number) for number, table in enumerate(tables)
        }
        self._months = Months(conn, schema, tables)

    def apply(self, fold: Fold) -> int:
        """Bring the tables to the fold's state; return how many rows were touched.

        Raises: ChangeRefused naming table and key, or psycopg.Error from a constraint; either way
                the caller's transaction must be rolled back.
        """
        self._months.require(fold)
        try:
            return sum(self._apply_table(table) for table in fold.tables.values() if table.changes)
        except psycopg.errors.CheckViolation:  # perhaps a month that was detached
            self._months.forget()
            raise

    def clear(self) -> None:
        """Empty the stages, for another fold in the same transaction."""
        for target in self._targets.values():
            self._conn.execute(target.clear)

    def _apply_table(self, fold: TableFold) -> int:
        target = self._targets[fold.table.name]
        begun = perf_counter()
        try:
            inserted, staged, counts = _sorted_out(
                fold, target.staged.whole_mask, self._sorted_inserts
            )
        except (TypeError, ValueError) as error:
            what = f"a handler's change does not fit its table: {error}"
            raise ChangeRefused(what, fold.table.name, ()) from error
        self._stages.fold += perf_counter() - begun
        touched = 0
        if 0 < len(staged) <= self._few_rows:
            as_json = partial(_as_json, fold.table, target.documents)
            rows = [_written(fold.table, staged, as_json).decode()]
            touched = self._apply_staged(fold, target.few, counts, rows)
        elif staged:
            self._copy(fold.table, target.copy, target.documents, staged)
            touched = self._apply_staged(fold, target.staged, counts, None)
        if inserted:
            # Behind all else: a new row may take a unique value that another one gives up.
            self._copy(fold.table, target.insert, target.documents, inserted)
        return touched + len(inserted)

    def _apply_staged(
        self,
        fold: TableFold,
        statements: Statements,
        counts: Counter[Op],
        rows: list[str] | None,
    ) -> int:
        begun, touched = perf_counter(), 0

        def execute(statement: sql.Composed) -> psycopg.Cursor[Any]:
            return psycopg.RawCursor(self._conn).execute(statement, rows)

        if statements.impossible is not None and (counts[Op.PASSED] or counts[Op.PASSED_PATCH]):
            _refuse_impossible(fold, execute(statements.impossible).fetchone())
        if counts[Op.VANISH]:
            _refuse(fold, execute(statements.present).fetchone(), "inserted that is there already")
        # Deletes and patches first: an upsert may take a unique value that they give up.
        if counts[Op.DELETE]:
            _refuse_missing(fold, execute(statements.delete).fetchone())
            touched += counts[Op.DELETE]
        if counts[Op.DISCARD]:
            touched += execute(statements.discard).rowcount
        if counts[Op.PATCH]:
            done = execute(statements.patch).rowcount if statements.patch else 0
            if done != counts[Op.PATCH]:
                _refuse_missing(fold, execute(statements.missing).fetchone())
            touched += done
        if counts[Op.UPSERT]:
            touched += execute(statements.upsert).rowcount
        self._stages.upsert += perf_counter() - begun
        return touched

    def _copy(
        self, table: Table, statement: sql.Composed, documents: frozenset[int], rows: list[Row]
    ) -> None:
        begun = perf_counter()
        as_text = partial(copy_rows, documents=documents)
        with self._conn.cursor().copy(statement) as copy:
            for first in range(0, len(rows), _CHUNK_ROWS):
                copy.write(_written(table, rows[first : first + _CHUNK_ROWS], as_text))
        self._stages.copy += perf_counter() - begun


def _sorted_out(
    fold: TableFold, whole_mask: str, sorted_inserts: bool
) -> tuple[list[Row], list[Row], Counter[Op]]:
    """Return rows that are new, rows to be staged, and how many of those each operation has.

    Both are sorted by key: every projector then takes its row locks in one order.
    """
    changes = fold.changes
    inserted: list[Row] = []
    if not sorted_inserts:
        insert = Op.INSERT
        inserted = [content for op, content in changes.values() if op is insert]
        if len(inserted) == len(changes):
            changes = {}
        else:
            changes = {k: change for k, change in changes.items() if change[0] is not insert}
    staged: list[Row] = []
    counts: Counter[Op] = Counter()
    columns = fold.table.columns
    key_places = [columns.index(column) for column in fold.table.key]
    for key, (op, content) in chain(fold.passed, _in_order(changes)):
        if op is Op.INSERT:
            inserted.append(content)
        elif op is Op.UPSERT or op is Op.PASSED:
            counts[op] += 1
            staged.append((*content, int(op), ""))
        elif op is Op.REPLACE:  # a patch of every column
            counts[Op.PATCH] += 1
            staged.append((*content, int(Op.PATCH), whole_mask))
        else:
            counts[op] += 1
            staged.append(_partial_row(columns, key_places, key, op, content or {}))
    return inserted, staged, counts


def _in_order(changes: dict[Key, tuple[Op, Any]]) -> list[tuple[Key, tuple[Op, Any]]]:
    try:
        return sorted(changes.items(), key=_key_of_change)
    except TypeError:  # an Enum, or None
        return sorted(changes.items(), key=lambda change: repr(change[0]))


def _refuse_impossible(fold: TableFold, found: Row | None) -> None:
    if found is not None:
        raise ChangeRefused(f"a row violates {found[0]!r}", fold.table.name, found[1:])


def _refuse_missing(fold: TableFold, key: Row | None) -> None:
    _refuse(fold, key, "changed or deleted that is not in the table")


def _refuse(fold: TableFold, key: Row | None, what: str) -> None:
    if key is not None:
        raise ChangeRefused(f"a row is {what}", fold.table.name, key)


def _written(table: Table, rows: list[Row], write: Callable[[list[Row]], bytes]) -> bytes:
    try:
        return write(rows)
    except (TypeError, ValueError) as error:
        if len(rows) > 1:  # one by one, to name the row
            return b"".join(_written(table, [row], write) for row in rows)
        raise ChangeRefused(
            f"a value cannot be stored: {error}", table.name, table.key_of(rows[0])
        ) from error


def _as_json(table: Table, documents: frozenset[int], rows: list[Row]) -> bytes:
    require_scalars(rows, documents)
    names = (*table.columns, "memferry_op", "memferry_mask")
    return _encode([dict(zip(names, row, strict=True)) for row in rows])


def _partial_row(
    columns: tuple[str, ...],
    key_places: Sequence[int],
    key: tuple[Any, ...],
    op: Op,
    changes: dict[str, Any],
) -> Row:
    places, mask = _placed(columns, tuple(key_places), tuple(changes))
    values: list[Any] = [None] * len(columns)
    for place, value in zip(key_places, key, strict=True):
        values[place] = value
    for place, value in zip(places, changes.values(), strict=True):
        values[place] = value
    return (*values, int(op), mask)


@lru_cache(1_024)
def _placed(
    columns: tuple[str, ...], key_places: tuple[int, ...], changed: tuple[str, ...]
) -> tuple[tuple[int, ...], str]:
    """Return where changed columns stand, and the mask that says so, a bit a column."""
    places = tuple(columns.index(column) for column in changed)
    for place in places:
        if place in key_places:
            raise ValueError(f"a patch changes the key column {columns[place]}")
    return places, "".join("1" if place in places else "0" for place in range(len(columns)))
