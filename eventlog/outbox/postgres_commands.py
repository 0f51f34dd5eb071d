"""Commands in the PostgreSQL outbox, found by id from any thread."""

import threading

import msgspec
import psycopg

from eventlog.outbox.contract import KeptCommand, KeptEvent
from eventlog.outbox.postgres_place import Connection, Place, first_connection
from eventlog.outbox.postgres_sql import query

_events = msgspec.json.Decoder(list[KeptEvent])


class CommandIndex:
    """Finds commands on a connection of its own, which is opened when it is first needed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._conn: Connection | None = None

    def find(self, command_id: str) -> KeptCommand | None:
        """Return a durable command, None where the id is new or forgotten; raises OutboxAway."""
        with self._lock:
            try:
                row = self._find(command_id)
            except psycopg.OperationalError:  # a connection that was cut is replaced, once
                self._conn = None
                row = self._find(command_id)
        return KeptCommand(row[0], _events.decode(row[1])) if row is not None else None

    def close(self) -> None:
        """Close the connection; another `find` opens it again."""
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def _find(self, command_id: str) -> tuple[bytes, bytes] | None:
        if self._conn is None:
            self._conn = first_connection(self._place, "outbox commands")
        with self._conn.cursor(binary=True) as cursor:
            statement = query("command_find", self._place.schema)
            return cursor.execute(statement, (command_id.encode(),)).fetchone()
