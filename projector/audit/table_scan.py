"""The second witness: the tables themselves, scanned in full in one snapshot of the database."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from projector.audit.compare import FoundRow
from projector.audit.table_digest import RowExpressions, column_types, row_expressions
from projector.checkpoint import offsets_of
from projector.sql import query
from projector.voids import obeyed_places
from schemas.digest import MODULUS, digest_of, row_digest, value_text
from schemas.table_sums import Sums
from schemas.tables import Row, Table, key_text

_ITEM_ROWS = 5_000
_LOW = 1 << 64


class TableSnapshot:
    """One moment of the database: the checkpoint, the voids, and the rows as they are stored."""

    def __init__(self, conn: psycopg.Connection[Any], projection: str) -> None:
        self._conn = conn
        self._projection = projection
        self.offsets = offsets_of(conn, projection)
        self.obeyed = obeyed_places(conn, projection)
        self._expressions: dict[str, RowExpressions | None] = {}

    def lacks(self, table: Table) -> str:
        """Say what the database has not of a table, for then nothing can be read; else nothing."""
        types = column_types(self._conn, self._projection, table.name)
        missing = [column for column in table.columns if column not in types]
        if not types:
            return "the table is not there"
        return f"the columns {', '.join(missing)} are not there" if missing else ""

    def digested_by_database(self, table: Table) -> bool:
        """Say whether PostgreSQL digests the table's rows, or they are read one by one."""
        return self._expressions_of(table) is not None

    def sums(self, table: Table, *, by_reading: bool = False) -> Sums:
        """Return the sums of a table's rows, as PostgreSQL digests them.

        `by_reading`: each row is read and digested here, which is slower, and another way.
        """
        expressions = self._expressions_of(table)
        sums = Sums()
        if expressions is None or by_reading:
            digest = digest_of(table)
            for row in self._read(table, None):
                sums.add(*digest(row))
            return sums
        statement = query("table_sums").format(
            bucket=expressions.bucket, hash=expressions.hash, table=self._name(table)
        )
        for bucket, rows, high, low in self._conn.execute(statement):
            sums.add(bucket, int(high) * _LOW + int(low), rows)
        return sums

    def rows(self, table: Table, buckets: Collection[int]) -> dict[str, FoundRow]:
        """Return the rows of some buckets, by key."""
        digest = digest_of(table)
        found: dict[str, FoundRow] = {}
        for row in self._read(table, buckets):
            bucket, number = digest(row)
            if bucket in buckets:
                key = key_text(table.key_of(row))
                found[key] = FoundRow(number % MODULUS, [value_text(value) for value in row])
        return found

    def find(self, table: Table, key: str) -> FoundRow | None:
        """Return the row of a key as text, after reading the table up to it; None without one."""
        for row in self._read(table, None):
            if key_text(table.key_of(row)) == key:
                return FoundRow(row_digest(table, row), [value_text(value) for value in row])
        return None

    def _read(self, table: Table, buckets: Collection[int] | None) -> Iterator[Row]:
        """Yield rows, in no order, with bounded memory."""
        expressions = self._expressions_of(table)
        names: dict[str, sql.Composable] = {
            "columns": sql.SQL(", ").join(self._readable(table)),
            "table": self._name(table),
        }
        statement, values = query("table_scan").format(**names), None
        if buckets is not None and expressions is not None:
            names["bucket"] = expressions.bucket
            statement, values = query("table_scan_buckets").format(**names), (list(buckets),)
        with self._conn.cursor(name=f"memferry_audit_{table.name}", binary=True) as cursor:
            cursor.itersize = _ITEM_ROWS
            yield from cursor.execute(statement, values)

    def _readable(self, table: Table) -> Iterator[sql.Composable]:
        """Yield the columns; an enumeration of the database's own as text, which it is to us."""
        types = column_types(self._conn, self._projection, table.name)
        for column in table.columns:
            found = types.get(column)
            cast = "{}::text" if found is not None and found.name == "enum" else "{}"
            yield sql.SQL(cast).format(sql.Identifier(column))

    def _name(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self._projection, table.name)

    def _expressions_of(self, table: Table) -> RowExpressions | None:
        if table.name not in self._expressions:
            types = column_types(self._conn, self._projection, table.name)
            self._expressions[table.name] = row_expressions(table, types)
        return self._expressions[table.name]


@contextmanager
def table_snapshot(conn: psycopg.Connection[Any], projection: str) -> Iterator[TableSnapshot]:
    """Open one snapshot of the database for everything that is read of it.

    No table is truncated until it ends: to an older snapshot a truncated table is empty, while its
    checkpoint is still what it was. Nor are the tables exchanged for others.
    """
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    conn.read_only = True
    try:
        done = False
        while not done:
            names = _table_names(conn, projection)
            with conn.transaction():
                # Before anything is read: that is the moment of the snapshot.
                if _locked(conn, projection, names) and _table_names(conn, projection) == names:
                    done = True
                    yield TableSnapshot(conn, projection)
    finally:
        conn.isolation_level = None
        conn.read_only = None


def _table_names(conn: psycopg.Connection[Any], projection: str) -> list[str]:
    return [name for (name,) in conn.execute(query("tables_of_schema"), (projection,))]


def _locked(conn: psycopg.Connection[Any], projection: str, names: Sequence[str]) -> bool:
    """Keep others from exchanging tables until the transaction ends; False where one is gone."""
    if not names:
        return True
    tables = sql.SQL(", ").join(sql.Identifier(projection, name) for name in names)
    try:
        with conn.transaction():  # a savepoint
            conn.execute(query("tables_lock_read").format(tables=tables))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False  # others took their place meanwhile
    return True
