"""What going from one set of tables to another changes, row by row: counted, with samples."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import psycopg
from psycopg import IsolationLevel, sql

from projector.sql import query
from schemas.domain import Domain
from schemas.tables import Table

_SAMPLES = 5
_TEXT_MOST = 120
"""Characters of a value that are shown."""
_WITHOUT_EQUALITY = frozenset(
    {"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"}
)
"""Types that have no `=`, or one that is not of their values."""
ChangeKind = Literal["inserted", "changed", "deleted"]


class RowSample(msgspec.Struct, frozen=True):
    """One row: its key, and its values as PostgreSQL writes them, long ones cut; None is null.

    Of a changed row only the columns that differ are in `before` and `after`.
    """

    change: ChangeKind
    key: list[str]
    before: dict[str, str | None]
    after: dict[str, str | None]


class TableDifference(msgspec.Struct, frozen=True):
    """What becomes of one table's rows."""

    table: str
    inserted: int = 0
    changed: int = 0
    deleted: int = 0
    samples: list[RowSample] = []
    unlike_columns: list[str] = []
    """Columns that only one of the two has: they were not compared."""

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return self.inserted + self.changed + self.deleted


def differences(
    conn: psycopg.Connection[Any],
    domain: Domain,
    live: str,
    other: str,
    *,
    samples: int = _SAMPLES,
) -> list[TableDifference]:
    """Return for each table of a domain what going from schema `live` to schema `other` does.

    In one snapshot. Values are equal as PostgreSQL's `=` says; those that it cannot compare
    (`json`), where their texts are. `conn` is in autocommit, with no transaction begun.
    """
    types = {
        (schema, name): _types(conn, schema, name)
        for schema in (live, other)
        for name in domain.tables
    }
    with _snapshot(conn, [place for place, columns in types.items() if columns]):
        return [
            _compare(
                conn, table, _Side(live, types[live, table.name]),
                _Side(other, types[other, table.name]), samples,
            )
            for table in domain.tables.values()
        ]  # fmt: skip


class _Type(NamedTuple):
    oid: int
    name: str
    """Of an array: its elements'."""


class _Side(NamedTuple):
    schema: str
    types: Mapping[str, _Type]


def _types(conn: psycopg.Connection[Any], schema: str, table: str) -> dict[str, _Type]:
    rows = conn.execute(query("difference_types"), (schema, table)).fetchall()
    return {column: _Type(oid, name) for column, oid, name in rows}


@contextmanager
def _snapshot(conn: psycopg.Connection[Any], tables: Sequence[tuple[str, str]]) -> Iterator[None]:
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    conn.read_only = True
    try:
        with conn.transaction():
            # Before anything is read, which is the moment of the snapshot: to an older one a table
            # that is truncated meanwhile is empty.
            if tables:
                names = sql.SQL(", ").join(sql.Identifier(*place) for place in tables)
                conn.execute(query("tables_lock_read").format(tables=names))
            conn.execute(query("difference_settings"))
            yield
    finally:
        if not conn.closed:
            conn.isolation_level = None
            conn.read_only = None


def _compare(
    conn: psycopg.Connection[Any], table: Table, live: _Side, other: _Side, samples: int
) -> TableDifference:
    common = [c for c in table.columns if c in live.types and c in other.types]
    unlike = [c for c in table.columns if (c in live.types) != (c in other.types)]
    if not set(table.key) <= set(common):  # one of them is not there, or is keyed otherwise
        rows = [_count(conn, side, table) for side in (live, other)]
        return TableDifference(
            table.name, inserted=rows[1], deleted=rows[0], unlike_columns=unlike
        )  # fmt: skip
    statement = _statement(table, live, other, common)
    counts = dict.fromkeys(get_args(ChangeKind), 0)
    found: list[RowSample] = []
    for row in conn.execute(statement, {"samples": max(samples, 1)}):
        change, total, key, before, after, differ = row
        counts[change] = total
        if len([one for one in found if one.change == change]) < samples:
            kept = [change != "changed" or one for one in differ]
            found.append(
                RowSample(
                    change, [_cut(text) or "" for text in key],
                    _values(common, before, kept) if change != "inserted" else {},
                    _values(common, after, kept) if change != "deleted" else {},
                )
            )  # fmt: skip
    return TableDifference(table.name, **counts, samples=found, unlike_columns=unlike)


def _count(conn: psycopg.Connection[Any], side: _Side, table: Table) -> int:
    if not side.types:
        return 0
    name = sql.Identifier(side.schema, table.name)
    row = conn.execute(query("table_count").format(table=name)).fetchone()
    return int(row[0]) if row else 0


def _statement(table: Table, live: _Side, other: _Side, common: Sequence[str]) -> sql.Composed:
    comma, together = sql.SQL(", "), sql.SQL(" AND ")

    def compared(side: str, names: Sequence[str]) -> list[sql.Composed]:
        return [
            sql.SQL("{side}.{name}{cast}").format(
                side=sql.Identifier(side),
                name=sql.Identifier(name),
                cast=sql.SQL("::text" if _as_text(live.types[name], other.types[name]) else ""),
            )
            for name in names
        ]

    def paired(form: str, left: Sequence[sql.Composed], right: Sequence[Any]) -> list[sql.Composed]:
        return [sql.SQL(form).format(*pair) for pair in zip(left, right, strict=True)]

    rows = compared("l", common), compared("o", common)
    keys = compared("l", table.key), compared("o", table.key)
    named = [sql.Identifier(f"k{number}") for number in range(len(table.key))]
    return query("difference_rows").format(
        live=sql.Identifier(live.schema, table.name),
        other=sql.Identifier(other.schema, table.name),
        keys=comma.join(
            sql.SQL("coalesce({}, {}) AS {}").format(*one) for one in zip(*keys, named, strict=True)
        ),
        key_order=comma.join(named),
        same_key=together.join(paired("{} = {}", *keys)),
        key_here=together.join(paired("{} = r.{}", compared("t", table.key), named)),
        first_key=sql.Identifier(table.key[0]),
        left_row=comma.join(rows[0]),
        right_row=comma.join(rows[1]),
        key_texts=comma.join(sql.SQL("r.{}::text").format(name) for name in named),
        before=comma.join(_text("l", name) for name in common),
        after=comma.join(_text("o", name) for name in common),
        differ=comma.join(paired("{} IS DISTINCT FROM {}", *rows)),
    )


def _text(side: str, name: str) -> sql.Composed:
    form = sql.SQL("left({}::text, {})")  # one character more tells that it was longer
    return form.format(sql.Identifier(side, name), sql.Literal(_TEXT_MOST + 1))


def _as_text(live: _Type, other: _Type) -> bool:
    return live.oid != other.oid or live.name in _WITHOUT_EQUALITY


def _values(
    columns: Sequence[str], texts: Sequence[str | None], kept: Sequence[bool]
) -> dict[str, str | None]:
    return {
        column: _cut(text)
        for column, text, is_kept in zip(columns, texts, kept, strict=True)
        if is_kept
    }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TEXT_MOST else text[: _TEXT_MOST - 1] + "…"
