"""A folded batch into its tables: staged by COPY, then one statement a table and operation."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from projector.copy_text import copy_rows
from projector.fold import ChangeRefused, Fold, Op, TableFold
from projector.sql import query
from schemas.tables import Row, Table

_CHUNK_ROWS = 1_000


class _Statements:
    """The statements of one table, with its names filled in."""

    def __init__(self, schema: str, table: Table) -> None:
        self.columns = table.columns
        stage = sql.Identifier(f"memferry_stage_{table.name}")
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
        names = {
            "table": live, "stage": stage, "columns": columns, "key": key, "live_key": live_key,
            "match": match,
        }  # fmt: skip
        upsert = "apply_upsert" if others else "apply_upsert_key_only"
        self.create = query("stage_table").format(**names)
        self.copy = query("stage_copy").format(**names)
        self.missing = query("patched_missing").format(**names)
        self.by_op = {
            Op.INSERT: query("apply_insert").format(**names),
            Op.UPSERT: query(upsert).format(assignments=taken, **names),
            Op.PATCH: query("apply_patch").format(assignments=masked, **names),
            Op.DELETE: query("apply_delete").format(**names),
            Op.DISCARD: query("apply_discard").format(**names),
        }


class Applier:
    """Applies folds over one connection, in the caller's transactions.

    The staging tables are temporary: they belong to the connection and are empty at each commit.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, tables: Iterable[Table]) -> None:
        self._conn = conn
        self._statements = {table.name: _Statements(schema, table) for table in tables}
        for statements in self._statements.values():
            conn.execute(statements.create)
        self._documents = {
            table: frozenset(
                self._statements[table].columns.index(column)
                for (column,) in conn.execute(query("document_columns"), (schema, table))
            )
            for table in self._statements
        }

    def apply(self, fold: Fold) -> int:
        """Bring the tables to the fold's state; return how many rows were touched.

        Raises: ChangeRefused naming table and key, or psycopg.Error from a constraint; either way
                the caller's transaction must be rolled back.
        """
        return sum(self._apply_table(table) for table in fold.tables.values() if table.changes)

    def _apply_table(self, fold: TableFold) -> int:
        statements = self._statements[fold.table.name]
        counts = self._stage(fold, statements)
        touched = 0
        # Deletes and patches first: an insert may reuse a unique value that they give up.
        if counts[Op.DELETE]:
            _refuse_missing(fold, self._conn.execute(statements.by_op[Op.DELETE]).fetchone())
            touched += counts[Op.DELETE]
        if counts[Op.DISCARD]:
            touched += self._conn.execute(statements.by_op[Op.DISCARD]).rowcount
        if counts[Op.PATCH]:
            done = self._conn.execute(statements.by_op[Op.PATCH]).rowcount
            if done != counts[Op.PATCH]:
                _refuse_missing(fold, self._conn.execute(statements.missing).fetchone())
            touched += done
        for op in (Op.UPSERT, Op.INSERT):
            if counts[op]:
                touched += self._conn.execute(statements.by_op[op]).rowcount
        return touched

    def _stage(self, fold: TableFold, statements: _Statements) -> Counter[Op]:
        counts: Counter[Op] = Counter()
        columns = fold.table.columns
        key_places = [columns.index(column) for column in fold.table.key]
        documents = self._documents[fold.table.name]
        rows: list[Row] = []
        # Sorted by key: every projector then takes its row locks in one order.
        for key in sorted(fold.changes):
            op, content = fold.changes[key]
            counts[op] += 1
            if op is Op.INSERT or op is Op.UPSERT:
                rows.append((*content, op, 0))
            else:
                rows.append(_partial_row(columns, key_places, key, op, content or {}))
        with self._conn.cursor().copy(statements.copy) as copy:
            for first in range(0, len(rows), _CHUNK_ROWS):
                copy.write(_encoded(fold.table, rows[first : first + _CHUNK_ROWS], documents))
        return counts


def _refuse_missing(fold: TableFold, key: Row | None) -> None:
    if key is not None:
        raise ChangeRefused(
            "a row is changed or deleted that is not in the table", fold.table.name, key
        )


def _encoded(table: Table, rows: list[Row], documents: frozenset[int]) -> bytes:
    try:
        return copy_rows(rows, documents)
    except (TypeError, ValueError) as error:
        if len(rows) > 1:  # one by one, to name the row
            return b"".join(_encoded(table, [row], documents) for row in rows)
        raise ChangeRefused(
            f"a value cannot be stored: {error}", table.name, table.key_of(rows[0])
        ) from error


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
    return (*values, op, mask)
