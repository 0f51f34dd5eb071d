"""A folded batch into its tables: new rows by COPY, all else staged by COPY, then one statement a
table and operation.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from time import perf_counter
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from projector.copy_text import copy_rows, require_scalars
from projector.fold import ChangeRefused, Fold, Op, TableFold
from projector.sql import query
from projector.stages import Stages
from schemas.tables import Row, Table

_CHUNK_ROWS = 1_000
FEW_ROWS = 300
"""Up to so many rows of a table go as a parameter; COPY overtakes near 500."""
_encode = msgspec.json.Encoder(order="deterministic").encode
_key_of_change = itemgetter(0)


class _Statements:
    """What brings staged rows into one table; `stage` is where they are."""

    def __init__(self, schema: str, table: Table, stage: sql.Composable) -> None:
        live = sql.Identifier(schema, table.name)
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        key = sql.SQL(", ").join(map(sql.Identifier, table.key))
        match = sql.SQL(" AND ").join(
            sql.SQL("live.{0} = stage.{0}").format(sql.Identifier(column)) for column in table.key
        )
        others = [column for column in table.columns if column not in table.key]
        taken = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in others
        )
        masked = sql.SQL(", ").join(
            sql.SQL(
                "{0} = CASE WHEN stage.memferry_mask & {1} <> 0 THEN stage.{0} ELSE live.{0} END"
            ).format(sql.Identifier(column), sql.Literal(1 << table.columns.index(column)))
            for column in others
        )
        live_key = sql.SQL(", ").join(sql.Identifier("live", column) for column in table.key)
        names: dict[str, sql.Composable] = {
            "table": live, "stage": stage, "columns": columns, "key": key, "live_key": live_key,
            "match": match,
        }  # fmt: skip
        upsert = "apply_upsert" if others else "apply_upsert_key_only"
        self.missing = query("patched_missing").format(**names)
        self.present = query("vanished_present").format(**names)
        self.upsert = query(upsert).format(assignments=taken, **names)
        self.patch = query("apply_patch").format(assignments=masked, **names) if others else None
        self.delete = query("apply_delete").format(**names)
        self.discard = query("apply_discard").format(**names)
        self.whole_mask = sum(1 << table.columns.index(column) for column in others)


class _Target:
    """One table with its stage, and how rows come to either."""

    def __init__(self, conn: psycopg.Connection[Any], schema: str, table: Table) -> None:
        stage = sql.Identifier(f"memferry_stage_{table.name}")
        names = {
            "table": sql.Identifier(schema, table.name),
            "stage": stage,
            "columns": sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        }
        conn.execute(query("stage_table").format(**names))
        self.insert = query("insert_copy").format(**names)
        self.copy = query("stage_copy").format(**names)
        self.staged = _Statements(schema, table, stage)
        # Rows as a parameter, typed by the stage, which then stays empty.
        parameter = sql.SQL("json_populate_recordset(NULL::{}, %(rows)s::json)").format(stage)
        self.few = _Statements(schema, table, parameter)
        self.documents = frozenset(
            table.columns.index(column)
            for (column,) in conn.execute(query("document_columns"), (schema, table.name))
        )


class Applier:
    """Applies folds over one connection, in the caller's transactions.

    The staging tables are temporary: they belong to the connection and are empty at each commit.
    Few rows go without them, as a parameter: emptying the stages costs milliseconds at each commit.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        tables: Iterable[Table],
        stages: Stages | None = None,
        few_rows: int = FEW_ROWS,
    ) -> None:
        self._conn = conn
        self._few_rows = few_rows
        self._stages = stages or Stages()
        self._targets = {table.name: _Target(conn, schema, table) for table in tables}

    def apply(self, fold: Fold) -> int:
        """Bring the tables to the fold's state; return how many rows were touched.

        Raises: ChangeRefused naming table and key, or psycopg.Error from a constraint; either way
                the caller's transaction must be rolled back.
        """
        return sum(self._apply_table(table) for table in fold.tables.values() if table.changes)

    def _apply_table(self, fold: TableFold) -> int:
        target = self._targets[fold.table.name]
        begun = perf_counter()
        inserted, staged, counts = _sorted_out(fold, target.staged.whole_mask)
        self._stages.fold += perf_counter() - begun
        touched = 0
        if 0 < len(staged) <= self._few_rows:
            rows = {
                "rows": _written(
                    fold.table, staged, partial(_as_json, fold.table, target.documents)
                ).decode()
            }
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
        statements: _Statements,
        counts: Counter[Op],
        rows: dict[str, str] | None,
    ) -> int:
        begun, touched = perf_counter(), 0

        def execute(statement: sql.Composed) -> psycopg.Cursor[Any]:
            return self._conn.execute(statement, rows)

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


def _sorted_out(fold: TableFold, whole_mask: int) -> tuple[list[Row], list[Row], Counter[Op]]:
    """Return rows that are new, rows to be staged, and how many of those each operation has.

    Both are sorted by key: every projector then takes its row locks in one order.
    """
    inserted: list[Row] = []
    staged: list[Row] = []
    counts: Counter[Op] = Counter()
    columns = fold.table.columns
    key_places = [columns.index(column) for column in fold.table.key]
    for key, (op, content) in sorted(fold.changes.items(), key=_key_of_change):
        if op is Op.INSERT:
            inserted.append(content)
        elif op is Op.UPSERT:
            counts[op] += 1
            staged.append((*content, int(op), 0))
        elif op is Op.REPLACE:  # a patch of every column
            counts[Op.PATCH] += 1
            staged.append((*content, int(Op.PATCH), whole_mask))
        else:
            counts[op] += 1
            staged.append(_partial_row(columns, key_places, key, op, content or {}))
    return inserted, staged, counts


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
    key_places: list[int],
    key: tuple[Any, ...],
    op: Op,
    changes: dict[str, Any],
) -> Row:
    values: list[Any] = [None] * len(columns)
    for place, value in zip(key_places, key, strict=True):
        values[place] = value
    mask = 0
    for column, value in changes.items():
        place = columns.index(column)
        values[place] = value
        mask |= 1 << place
    return (*values, int(op), mask)
