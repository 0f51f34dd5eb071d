"""A thread of the shim that listens to PostgreSQL, and comes back by itself.

It needs the extra memferry[control]. The app records and relays without it.
"""

import logging
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from eventlog.driver import load_driver
from schemas.control_format import CONTROL_FORMAT, FormatMismatch, require_format
from schemas.settings import Settings

if TYPE_CHECKING:
    import psycopg

    Connection: TypeAlias = psycopg.Connection[Any]

_RETRY_S = 1.0
_NOTIFY_WAIT_S = 0.1
log = logging.getLogger("memferry.control")


class Duty(Protocol):
    """What a listening thread does; every method is called by that thread alone."""

    @property
    def name(self) -> str:
        """Of the thread and the connection."""

    @property
    def channels(self) -> Collection[str]:
        """What is listened to."""

    def begin(self, conn: "Connection") -> None:
        """Do everything that notices may have asked for before there was a connection."""

    def hear(self, conn: "Connection", channels: Collection[str]) -> None:
        """Do what these channels' notices ask for."""

    def tick(self, conn: "Connection") -> None:
        """Do what is due without a notice; called several times a second."""


class Listener:
    """One connection, its LISTENs and one duty."""

    def __init__(self, settings: Settings, source: str, duty: Duty) -> None:
        self._psycopg = load_driver("`postgres.dsn` is set")
        self._settings = settings
        self._source = source
        self._duty = duty
        self._ended = threading.Event()
        self._served = False
        self.refused: FormatMismatch | None = None
        """Set while the control tables are another memferry's, which this one leaves alone."""
        self.began = threading.Event()
        """Set once the duty has begun on a connection."""
        self._thread = threading.Thread(target=self._run, name=f"memferry-{duty.name}", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end; `close` waits for it."""
        self._ended.set()

    def close(self, timeout: float) -> None:
        """End the thread."""
        self.stop()
        self._thread.join(timeout)

    def _run(self) -> None:
        said = False
        while not self._ended.is_set():
            self._served = False
            try:
                with self._connect() as conn:
                    self._require_format(conn)
                    self.refused, said = None, False
                    self._listen(conn)
            except FormatMismatch as error:
                self.refused = error
                if not said:
                    log.error("the app goes on without its control connection: %s", error)
                    said = True
                self._ended.wait(_RETRY_S)
            except self._psycopg.errors.UndefinedTable:
                self._ended.wait(_RETRY_S)  # no projector has made the control tables yet
            except self._psycopg.Error as error:
                if not said:
                    log.warning("the control connection tries again: %s", str(error).strip())
                    said = True
                if not self._served:  # one that served is replaced at once: writers may stand still
                    self._ended.wait(_RETRY_S)

    def _connect(self) -> "Connection":
        postgres = self._settings.postgres
        conn: Connection = self._psycopg.connect(
            postgres.dsn,
            autocommit=True,
            connect_timeout=postgres.connect_timeout_s,
            application_name=f"memferry {self._duty.name} {self._source}",
        )
        return conn

    def _require_format(self, conn: "Connection") -> None:
        with suppress(self._psycopg.errors.UndefinedTable):  # the duty says so, if it needs them
            row = conn.execute("SELECT version FROM memferry.format").fetchone()
            require_format(row[0] if row else CONTROL_FORMAT)

    def _listen(self, conn: "Connection") -> None:
        for channel in self._duty.channels:
            conn.execute(
                self._psycopg.sql.SQL("LISTEN {}").format(self._psycopg.sql.Identifier(channel))
            )
        self._duty.begin(conn)
        self._served = True
        self.began.set()
        while not self._ended.is_set():
            notices = conn.notifies(timeout=_NOTIFY_WAIT_S, stop_after=1)
            channels = {notice.channel for notice in notices}
            if channels:
                self._duty.hear(conn, channels)
            self._duty.tick(conn)
