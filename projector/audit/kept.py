"""An audit or a validation under way, of which the history tells whatever becomes of it."""

import asyncio
import datetime
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from projector.audit.history import AuditKind, Begun, Ending, begin, end, note_interrupted
from projector.audit.report import Report
from projector.control_tables import DatabaseUnreachable, connect
from schemas.errors import FerryError
from schemas.settings import Settings

log = logging.getLogger("memferry.audit")
_ROLE = "audit history"


class Keeping:
    """One audit or validation, and how it ended."""

    def __init__(self, projection: str, kind: AuditKind) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.begun = Begun(str(uuid.uuid4()), projection, kind, holder(), now)
        self.ending: Ending | None = None
        self.owed = False
        """Whether the history lacks it since PostgreSQL was away: `pay` brings it later."""
        self._began = time.monotonic()

    def ended(self, report: Report) -> None:
        """Say what it came to."""
        self.ending = Ending("clean" if report.passed else "findings", self._seconds(), report)

    def failed(self, error: BaseException) -> None:
        """Say what kept it from coming to anything."""
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            self.ending = Ending("interrupted", self._seconds(), error="it was told to end")
        else:
            self.ending = Ending("error", self._seconds(), error=text_of(error))

    def pay(self, conn: psycopg.Connection[Any], keep_days: int) -> None:
        """Write how it ended."""
        if self.ending is not None:
            end(conn, self.begun, self.ending, keep_days)
            self.owed = False

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def holder() -> str:
    """Return who makes this process's audits."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def text_of(error: BaseException) -> str:
    """Return an error as the history has it: what, where and what next; its type where unknown."""
    if isinstance(error, FerryError):
        return str(error)
    return f"{type(error).__name__}: {str(error).strip() or 'no message'}"


@contextmanager
def kept(settings: Settings, projection: str, kind: AuditKind) -> Iterator[Keeping]:
    """Keep in the history what is done meanwhile: it must call `ended`, or raise.

    Where the history cannot be written, that is logged, and the work goes on: who may only read
    may audit, too.
    """
    keeping = Keeping(projection, kind)
    conn = _begun(settings, keeping)
    try:
        yield keeping
    except BaseException as error:
        keeping.failed(error)
        raise
    finally:
        if conn is not None or keeping.owed:
            _end(settings, conn, keeping)
        if conn is not None:
            conn.close()


def _begun(settings: Settings, keeping: Keeping) -> psycopg.Connection[Any] | None:
    try:
        conn = connect(settings, _ROLE)
    except DatabaseUnreachable:
        keeping.owed = True
        return None
    try:
        for dead in note_interrupted(conn, keeping.begun.projection):
            log.warning(
                "the audit begun at %s by %s was interrupted; the fold goes on where it was",
                f"{dead.started_at:%Y-%m-%d %H:%M:%S}", dead.holder,
            )  # fmt: skip
        begin(conn, keeping.begun)
    except psycopg.Error as error:
        conn.close()
        say_unkept(error)
        return None
    return conn


def _end(settings: Settings, conn: psycopg.Connection[Any] | None, keeping: Keeping) -> None:
    keep_days = settings.audit.keep_days
    if conn is not None:
        with suppress(psycopg.OperationalError):  # it was lost: perhaps there is another one
            keeping.pay(conn, keep_days)
            return
    try:
        with connect(settings, _ROLE) as again:
            keeping.pay(again, keep_days)
    except (DatabaseUnreachable, psycopg.OperationalError) as error:
        keeping.owed = True
        say_unkept(error)
    except psycopg.Error as error:
        say_unkept(error)


def say_unkept(error: Exception) -> None:
    """Log that the history lacks an audit, and why."""
    why = str(error).splitlines()[0]
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        why += " (`memferry project` makes what is missing)"
    log.warning("the history does not keep this audit: %s", why)
