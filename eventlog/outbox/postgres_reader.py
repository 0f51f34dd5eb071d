"""The reading end of the PostgreSQL outbox: for the relay, restart and status; it never writes."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg

from eventlog.outbox.columns import Columns, columns_of
from eventlog.outbox.contract import OutboxInvalid, OutboxRow
from eventlog.outbox.postgres_place import (
    Connection,
    Place,
    first_connection,
    hold,
    read_heads,
    read_identity,
)
from eventlog.outbox.postgres_sql import query
from schemas.lane import LaneHead

CHUNK_BYTES = 16 * 1024 * 1024
"""Events read at once are smaller together, or one: memory is bounded."""
T = TypeVar("T")


class PostgresOutboxReader:
    """Reads committed rows; comes back by itself after the database was away.

    Raises, every method: ConnectionError while it is away.
    """

    def __init__(self, place: Place) -> None:
        self.path = place
        self._lock = threading.Lock()
        self._conn: Connection | None = first_connection(place, "outbox reader")
        found = read_identity(self._conn, place)
        if found is None:
            self._conn.close()
            raise OutboxInvalid(
                "there is no outbox",
                where=str(place),
                remedy="start the app once with this settings file, or correct `outbox.schema`",
            )
        self.identity, _ = found
        self._lock_key = f"memferry relay {place.schema}"
        self._relays = False

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`."""
        return self._run(lambda conn: read_rows(conn, self.path.schema, after, limit))

    def columns(self, after: int, limit: int) -> Columns:
        """Return the same by column."""
        return columns_of(self.rows(after, limit))

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""
        return self._writer()[1]

    def writer(self) -> int:
        """Return the outbox's generation; the relay's lock in the file system is for files."""
        return self._writer()[0]

    def changed(self) -> int:
        """Return a number that differs after any commit of the writer."""
        return self._writer()[1]

    def at(self, partition: int, seq: int) -> OutboxRow | None:
        """Return one event by its place in its lane."""
        statement = query("event_at", self.path.schema)

        def read(conn: Connection) -> OutboxRow | None:
            with conn.cursor(binary=True) as cursor:
                row = cursor.execute(statement, (partition, seq)).fetchone()
            return _row(row) if row is not None else None

        return self._run(read)

    def heads(self) -> dict[int, LaneHead]:
        """Return the last event of each lane that has one."""
        return self._run(lambda conn: read_heads(conn, self.path.schema))

    def hold_relay(self) -> bool:
        """Say whether this reader alone relays now: until it closes, or loses its connection."""

        self._relays = self._run(lambda conn: hold(conn, self._lock_key))
        return self._relays

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def _writer(self) -> tuple[int, int]:
        statement = query("writer_read", self.path.schema)

        def read(conn: Connection) -> tuple[int, int]:
            (found,) = conn.execute(statement).fetchall()
            return found[0], found[1]

        return self._run(read)

    def _run(self, work: Callable[[Connection], T]) -> T:
        with self._lock:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._come_back()
                return work(self._conn)
            except psycopg.OperationalError as error:
                raise ConnectionError(f"the outbox's database: {str(error).strip()}") from error

    def _come_back(self) -> Connection:
        conn = self.path.connect("outbox reader")
        if self._relays and not hold(conn, self._lock_key):
            conn.close()
            raise ConnectionError("the outbox's database: another relay serves this outbox now")
        return conn


def read_rows(conn: Connection, schema: str, after: int, limit: int) -> list[OutboxRow]:
    """Return events in commit order: at most `limit`, fewer where they are large."""
    given = {"after": after, "limit": limit, "bytes": CHUNK_BYTES}
    with conn.cursor(binary=True) as cursor:
        return [_row(row) for row in cursor.execute(query("rows_read", schema), given)]


def read_lane(conn: Connection, schema: str, partition: int) -> list[OutboxRow]:
    """Return every event of one lane, in its order."""
    with conn.cursor(binary=True) as cursor:
        return [_row(row) for row in cursor.execute(query("lane_rows", schema), (partition,))]


def _row(row: tuple[int, int, int, bytes, bytes]) -> OutboxRow:
    number, partition, seq, stream, event = row
    return OutboxRow(number, partition, seq, stream.decode(), event)
