"""The second witness: the tables themselves, scanned in full in one snapshot of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from projector.sql import query
from schemas.digest import row_digest
from schemas.tables import Table, key_text

_ITEM_ROWS = 5_000


class TableSnapshot:
    """One moment of the database: the checkpoint, and the rows as they are stored."""

    def __init__(self, conn: psycopg.Connection[Any], projection: str) -> None:
        self._conn = conn
        self._projection = projection
        rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
        self.offsets: dict[int, int] = {row[0]: row[1] for row in rows}

    def rows(self, table: Table) -> Iterator[tuple[str, int]]:
        """Yield (key as text, digest) of every row, in no order, with bounded memory."""
        statement = query("table_scan").format(
            columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            table=sql.Identifier(self._projection, table.name),
        )
        with self._conn.cursor(name=f"memferry_audit_{table.name}", binary=True) as cursor:
            cursor.itersize = _ITEM_ROWS
            for row in cursor.execute(statement):
                yield key_text(table.key_of(row)), row_digest(table.name, row)


@contextmanager
def table_snapshot(conn: psycopg.Connection[Any], projection: str) -> Iterator[TableSnapshot]:
    """Open one snapshot of the database for everything that is read of it."""
    conn.isolation_level = IsolationLevel.REPEATABLE_READ
    conn.read_only = True
    try:
        with conn.transaction():
            yield TableSnapshot(conn, projection)
    finally:
        conn.isolation_level = None
        conn.read_only = None
