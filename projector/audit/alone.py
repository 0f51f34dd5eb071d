"""One audit job at a time for a projection, on whatever machine: an advisory lock."""

from typing import Any

import psycopg

from projector.audit.kept import holder
from projector.control_tables import connect
from projector.notices import kept_alive
from projector.sql import query
from schemas.errors import FerryError
from schemas.settings import Settings


class AuditJobRuns(FerryError):
    """Another audit job has this projection."""


class JobTurn:
    """The right to be a projection's audit job, for as long as its connection lives."""

    def __init__(self, settings: Settings, projection: str) -> None:
        self._settings = settings
        self._projection = projection
        self._conn: psycopg.Connection[Any] | None = None

    def hold(self) -> psycopg.Connection[Any]:
        """Return the connection that has the lock, taken anew where it was lost; blocks.

        Raises: AuditJobRuns, naming who has it; DatabaseUnreachable.
        """
        if self._conn is not None and not _lives(self._conn):
            self._conn.close()
            self._conn = None
        if self._conn is None:
            self._conn = self._taken()
        return self._conn

    def release(self) -> None:
        """Let another job have it."""
        if self._conn is not None:
            self._conn.close()

    def _taken(self) -> psycopg.Connection[Any]:
        # The name of the session tells others who it is: every role may see it.
        conn = connect(kept_alive(self._settings), f"audit job: {holder()}")
        conn.execute(query("keep_alive"))
        if conn.execute(query("audit_job_lock"), (self._projection,)).fetchone() == (True,):
            return conn
        found = conn.execute(query("audit_job_holder"), (self._projection,)).fetchone()
        conn.close()
        who, since = found or ("", None)
        named = str(who).partition(": ")[2] or "another session"
        raise AuditJobRuns(
            f"an audit job of projection {self._projection!r} runs already: {named}"
            + (f", since {since:%Y-%m-%d %H:%M:%S}" if since else ""),
            where="the advisory lock of its connection",
            remedy="end that one first; `memferry audit history` shows what it finds",
        )


def _lives(conn: psycopg.Connection[Any]) -> bool:
    if conn.closed:
        return False
    try:
        conn.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
