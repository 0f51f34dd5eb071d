"""The shim's own PostgreSQL connection: `applied` receipts, and memory for the audit.

It needs the extra memferry[control]. The app records and relays without it; it comes back by itself
after the database was away.
"""

import logging
import threading
from typing import TYPE_CHECKING, Any

from eventlog.receipts import Watermark
from eventlog.recorder import Recorder
from schemas.digest import row_digest
from schemas.errors import FerryError
from schemas.lane import partition_of
from schemas.settings import Settings
from schemas.sql import statement
from schemas.tables import key_text

if TYPE_CHECKING:
    import psycopg

_RETRY_S = 1.0
_NOTIFY_WAIT_S = 0.25
log = logging.getLogger("memferry.control")


class DriverMissing(FerryError):
    """psycopg is not installed."""


class ControlConnection:
    """A thread that listens to PostgreSQL on behalf of one source."""

    def __init__(self, ferry: Recorder, settings: Settings) -> None:
        try:
            import psycopg  # noqa: PLC0415  (an extra: the base install goes without)
        except ImportError as error:
            raise DriverMissing(
                "`postgres.dsn` is set, but psycopg is not installed",
                remedy="pip install 'memferry[control]', or leave `postgres.dsn` out",
            ) from error
        self._psycopg = psycopg
        self._ferry = ferry
        self._settings = settings
        self._projection = settings.projection or ferry.domain.name
        self._marks = {p: Watermark() for p in range(ferry.identity.partitions)}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memferry-control", daemon=True)
        ferry.promises.serve_applied(self._marks)
        ferry.on_close(self._close)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def _close(self, timeout: float) -> None:
        self._ended.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        said = False
        while not self._ended.is_set():
            try:
                with self._connect() as conn:
                    said = False
                    self._listen(conn)
            except self._psycopg.errors.UndefinedTable:
                self._ended.wait(_RETRY_S)  # no projector has made the control tables yet
            except self._psycopg.Error as error:
                if not said:
                    log.warning("the control connection tries again: %s", str(error).strip())
                    said = True
                self._ended.wait(_RETRY_S)

    def _connect(self) -> "psycopg.Connection[Any]":
        postgres = self._settings.postgres
        return self._psycopg.connect(
            postgres.dsn,
            autocommit=True,
            connect_timeout=postgres.connect_timeout_s,
            application_name=f"memferry shim {self._ferry.source}",
        )

    def _listen(self, conn: "psycopg.Connection[Any]") -> None:
        conn.execute("LISTEN memferry_applied")
        conn.execute("LISTEN memferry_memory")
        self._read_lanes(conn)
        self._answer_requests(conn)
        while not self._ended.is_set():
            channels = {
                note.channel for note in conn.notifies(timeout=_NOTIFY_WAIT_S, stop_after=1)
            }
            if "memferry_applied" in channels:
                self._read_lanes(conn)
            if "memferry_memory" in channels:
                self._answer_requests(conn)

    def _read_lanes(self, conn: "psycopg.Connection[Any]") -> None:
        identity = self._ferry.identity
        for partition, seq in conn.execute(
            statement("lanes_of_source"),
            (self._projection, identity.source, identity.generation),
        ):
            if partition in self._marks:
                self._marks[partition].advance(seq)

    def _answer_requests(self, conn: "psycopg.Connection[Any]") -> None:
        asked = conn.execute(
            statement("memory_requests_of_source"), (self._projection, self._ferry.source)
        ).fetchall()
        for (request,) in asked:
            try:
                self._answer(conn, request)
            except FerryError as error:
                conn.execute(statement("memory_request_failed"), (str(error), request))

    def _answer(self, conn: "psycopg.Connection[Any]", request: Any) -> None:
        barrier = self._ferry.place_barrier(str(request), "audit")
        partitions = self._ferry.identity.partitions
        with conn.transaction(), conn.cursor() as cursor:
            with cursor.copy(statement("memory_row_copy")) as copy:
                for kind, entities in barrier.memory:
                    stream_of = kind.stream_getter()
                    for entity in entities():
                        partition = partition_of(stream_of(entity), partitions)
                        for table, row in kind.rows(entity):
                            digest = row_digest(table.name, row).to_bytes(16, "big")
                            key = key_text(table.key_of(row))
                            copy.write_row((request, partition, table.name, key, digest))
            cursor.execute(statement("memory_request_answered"), (request,))
