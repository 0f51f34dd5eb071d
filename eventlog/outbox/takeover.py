"""An outbox file taken from its writer: the file's generation rises, the old writer is shut out."""

import os
from pathlib import Path
from typing import NamedTuple

import apsw

from eventlog.outbox.contract import OutboxIdentity, OutboxInUse
from eventlog.outbox.sqlite_file import lock_for_writing, open_for_writing, write_ahead
from eventlog.outbox.sqlite_reader import (
    SqliteOutboxReader,
    damage_named,
    require_recent_sqlite,
)

_COMMIT_MS = 1_000
"""Longer than any commit of a process that runs."""


class Takeover(NamedTuple):
    """Whose outbox was taken, and the file's generation from now on."""

    identity: OutboxIdentity
    writer: int


def take_over(path: Path, *, stopped: bool = False) -> Takeover:
    """Raise the file's generation: whoever had it open for writing acknowledges nothing more.

    `stopped` takes it also from a process that still holds the lock, because it does not run.
    Raises: OutboxInvalid, OutboxInUse: the process lives, or stands in the middle of a commit.
    """
    require_recent_sqlite()
    reader = SqliteOutboxReader(path)
    identity, writer = reader.identity, reader.writer()
    reader.close()
    lock = -1
    try:
        lock = lock_for_writing(path, writer)
    except OutboxInUse as error:
        if not stopped:
            error.remedy = (
                "stop that process; where it hangs and cannot be ended, `memferry adopt --stopped`"
            )
            raise
    try:
        with damage_named(path):
            db = open_for_writing(path)
            try:
                db.set_busy_timeout(_COMMIT_MS)
                write_ahead(db, path)
                _raise_generation(db, path, writer)
            finally:
                db.close()
    finally:
        if lock >= 0:
            os.close(lock)
    return Takeover(identity, writer + 1)


def _raise_generation(db: apsw.Connection, path: Path, writer: int) -> None:
    try:
        with db:
            db.execute("UPDATE identity SET writer = ? WHERE writer = ?", (writer + 1, writer))
            taken = db.changes() == 1
    except apsw.BusyError as error:
        raise OutboxInUse(
            "the outbox's process was stopped in the middle of a commit, which holds the file",
            where=str(path),
            remedy="end that process (kill -9), then adopt the outbox again",
        ) from error
    if not taken:
        raise OutboxInUse(
            "somebody else adopted the outbox at the same moment",
            where=str(path),
            remedy="leave it to them, or adopt it from them once they have ended",
        )
