"""The digest of a table's rows, as an expression that PostgreSQL computes over its own columns.

The text that it hashes is that of `schemas.digest`; a test compares the two over values of all
types. Where a column's type has no such text (documents, arrays, intervals), there is no expression
and rows are digested as they are read.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from projector.sql import query
from schemas.digest import BUCKETS, NOTHING
from schemas.tables import Table

_TEXT = "length({0}::text) || ':' || {0}::text"
_WRITTEN = {
    "enum": _TEXT,
    "text": _TEXT,
    "varchar": _TEXT,
    "bpchar": _TEXT,
    "uuid": _TEXT,
    "int2": "{0}::text",
    "int4": "{0}::text",
    "int8": "{0}::text",
    "bool": "{0}::text",
    "numeric": "trim_scale({0})::text",
    "timestamptz": "timestamptz_send({0})::int8::text",
    "timestamp": "timestamp_send({0})::int8::text",
    "date": "({0} - DATE '2000-01-01')::text",
    "float4": "encode(float8send({0}::float8), 'hex')",
    "float8": "encode(float8send({0}), 'hex')",
    "bytea": "encode({0}, 'hex')",
}
"""PostgreSQL's name of a type → the text of a value of it."""


class ColumnType(NamedTuple):
    """A column's type: its name as pg_type has it, `enum` for any enumeration."""

    name: str
    not_null: bool


class RowExpressions(NamedTuple):
    """Expressions over a row's columns: its bucket, and the SHA-256 whose beginning is its digest.

    The digest's halves are `substr(hash, 1, 8)::int8` and `substr(hash, 9, 8)::int8`.
    """

    bucket: sql.Composed
    hash: sql.Composed


def row_expressions(table: Table, types: Mapping[str, ColumnType]) -> RowExpressions | None:
    """Return the expressions of a table; None where a column's type has no text of its own."""
    written: dict[str, sql.Composed] = {}
    for column in table.columns:
        found = types.get(column)
        form = None if found is None else _WRITTEN.get(found.name)
        if found is None or form is None:
            return None
        text = sql.SQL(form).format(sql.Identifier(column))
        # To ask where nothing can be null costs a third of the whole.
        known = sql.SQL("coalesce({}, {})").format(text, sql.Literal(NOTHING))
        written[column] = text if found.not_null else known
    text = _joined([written[column] for column in table.columns])
    key = _joined([written[column] for column in table.key])
    return RowExpressions(
        sql.SQL("(crc32(convert_to({}, 'UTF8')) & {})::int").format(key, sql.Literal(BUCKETS - 1)),
        sql.SQL("sha256(convert_to({}, 'UTF8'))").format(text),
    )


def column_types(conn: psycopg.Connection[Any], schema: str, table: str) -> dict[str, ColumnType]:
    """Return the types of a table's columns, as they are in the database."""
    rows = conn.execute(query("column_types"), (schema, table)).fetchall()
    return {column: ColumnType(name, not_null) for column, name, not_null in rows}


def _joined(parts: Sequence[sql.Composed]) -> sql.Composed:
    # concat_ws leaves nulls out: there are none by now.
    return sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(parts))
