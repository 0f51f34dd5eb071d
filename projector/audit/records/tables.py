"""The tables as records: whole entities, in one snapshot of the database, in bounded memory."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from projector.audit.records.any_time import load_any_time
from projector.audit.records.record import Add, Record, key_writer
from projector.audit.table_scan import table_snapshot
from projector.control_tables import connect
from projector.sql import query
from schemas.domain import Domain, Kind
from schemas.entities import Entities, KindNotReadable
from schemas.position import format_offsets
from schemas.settings import Settings
from schemas.tables import Row, Table, key_text

_ENTITIES = 500
Connection = psycopg.Connection[Any]


def read_tables(settings: Settings, domain: Domain, add: Add) -> str:
    """Give every entity that the tables hold; return their position.

    What is no entity is given with its error: rows that fit no entity of their kind, rows of a
    further table that belong to none, tables and columns of the schema that no kind has, and those
    that it lacks.
    """
    name = settings.projection or domain.name
    with closing(connect(settings, "validation")) as conn, table_snapshot(conn, name) as snapshot:
        load_any_time(conn)
        there = [table for (table,) in conn.execute(query("tables_of_schema"), (name,)).fetchall()]
        for kind in domain.kinds:
            if _has_tables(conn, name, kind, there, add):
                _Kind(conn, name, kind).read(add)
        for table in there:
            if table not in domain.tables:
                said = f"no kind of the domain has table {table}: nobody looks at its rows"
                add(Record(f"table {table}", None, "", error=said, fault="forgotten"))
        return format_offsets(snapshot.offsets)


def _has_tables(conn: Connection, schema: str, kind: Kind, there: Sequence[str], add: Add) -> bool:
    """Say whether a kind's tables are there with all their columns; give what is not so."""
    whole = True
    for table in kind.tables:
        place, columns = f"table {table.name}", set[str]()
        if table.name in there:
            found = conn.execute(query("column_formats"), (schema, table.name)).fetchall()
            columns = {name for name, _ in found}
        missing = [name for name in table.columns if name not in columns]
        if missing:
            whole = False
            what = f"the columns {', '.join(missing)} are" if columns else "the table is"
            said = f"{what} not there: no {kind.name} can be read"
            add(Record(place, kind, "", error=said, fault="unreadable"))
        for name in sorted(columns - set(table.columns)):
            said = f"kind {kind.name} has no column {name} of table {table.name}"
            add(Record(f"{place}, column {name}", kind, "", error=said, fault="forgotten"))
    return whole


class _Kind:
    """One kind's tables."""

    def __init__(self, conn: Connection, schema: str, kind: Kind) -> None:
        self._conn = conn
        self._schema = schema
        self._kind = kind
        self._first, *self._further = kind.tables
        self._place = f"table {self._first.name}"
        self._key_of = key_writer(kind)

    def read(self, add: Add) -> None:
        """Give the kind's entities, and what is none."""
        try:
            make = self._kind.entity_maker()
        except KindNotReadable as error:
            add(Record(self._place, self._kind, "", error=error.what, fault="unreadable"))
            return
        further = [_Further(self._conn, self._schema, self._kind, t) for t in self._further]
        for rows in self._chunks():
            found: dict[str, Sequence[Row]] = {self._first.name: rows}
            keys = [_values(self._first, self._kind.key, row) for row in rows]
            for table in further:
                found[table.name] = table.rows_of(keys)
            self._make(make, found, add)
        for table in further:
            table.orphans(add)

    def _make(self, make: Entities, found: dict[str, Sequence[Row]], add: Add) -> None:
        try:
            entities = make(found)
        except Exception:  # whatever the domain's code raises: one by one, to name the row
            rows = found[self._first.name]
            if len(rows) > 1:
                for row in rows:
                    self._make(make, self._of_one(found, row), add)
                return
            key = key_text(self._first.key_of(rows[0]))
            add(Record(self._place, self._kind, key, error=_why(make, found), fault="unreadable"))
            return
        for entity in entities:
            add(Record(self._place, self._kind, self._key_of(entity), entity))

    def _of_one(self, found: dict[str, Sequence[Row]], row: Row) -> dict[str, Sequence[Row]]:
        key = _values(self._first, self._kind.key, row)
        return {
            table.name: [
                one for one in found[table.name] if _values(table, self._kind.key, one) == key
            ]
            for table in self._kind.tables
        }

    def _chunks(self) -> Iterator[list[Row]]:
        statement = query("table_scan").format(
            columns=_names(self._first.columns),
            table=sql.Identifier(self._schema, self._first.name),
        )
        with self._conn.cursor(name=f"memferry_read_{self._first.name}", binary=True) as cursor:
            cursor.itersize = 10 * _ENTITIES
            rows = iter(cursor.execute(statement))
            while chunk := list(islice(rows, _ENTITIES)):
                yield chunk


class _Further:
    """A further table of a kind: rows of entities that the first table has."""

    def __init__(self, conn: Connection, schema: str, kind: Kind, table: Table) -> None:
        self.name = table.name
        self._conn = conn
        self._kind = kind
        formats = dict(conn.execute(query("column_formats"), (schema, table.name)).fetchall())
        keys = sql.SQL(", ").join(
            sql.SQL("%s::{}[]").format(sql.SQL(formats[column])) for column in kind.key
        )
        names: dict[str, sql.Composable] = {
            "columns": sql.SQL(", ").join(sql.Identifier("t", c) for c in table.columns),
            "table": sql.Identifier(schema, table.name),
            "first": sql.Identifier(schema, kind.tables[0].name),
            "key": sql.SQL(", ").join(sql.Identifier("t", c) for c in table.key),
            "names": _names(kind.key),
            "match": sql.SQL(" AND ").join(
                sql.SQL("t.{0} = wanted.{0}").format(sql.Identifier(c)) for c in kind.key
            ),
        }
        self._rows = query("entity_rows").format(keys=keys, **names)
        self._orphans = query("orphan_rows").format(**names)

    def rows_of(self, keys: Sequence[tuple[Any, ...]]) -> list[Row]:
        """Return the rows of entities with these keys."""
        with self._conn.cursor(binary=True) as cursor:
            return cursor.execute(self._rows, [list(c) for c in zip(*keys, strict=True)]).fetchall()

    def orphans(self, add: Add) -> None:
        """Give the first rows that belong to no entity, and say how many there are."""
        for *key, count in self._conn.execute(self._orphans).fetchall():
            said = f"its {self._kind.name} is not in table {self._kind.tables[0].name}"
            more = f" ({count:,} such rows)" if count > 1 else ""
            add(
                Record(
                    f"table {self.name}", self._kind, key_text(tuple(key)), error=said + more,
                    fault="orphan",
                )
            )  # fmt: skip


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _values(table: Table, columns: Sequence[str], row: Row) -> tuple[Any, ...]:
    return tuple(row[table.columns.index(column)] for column in columns)


def _why(make: Entities, found: dict[str, Sequence[Row]]) -> str:
    try:
        make(found)
    except msgspec.ValidationError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "it is no entity together with the rows beside it"
