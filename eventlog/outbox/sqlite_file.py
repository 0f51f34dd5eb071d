"""The outbox file as a file: its lock, its mode, and SQLite's promise to sync."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import apsw

from eventlog.outbox.contract import OutboxInUse, OutboxInvalid, OutboxUnwritable
from eventlog.outbox.sqlite_reader import BUSY_MS

FIRST_WRITER = 1
"""The generation of a file that was never adopted."""
_COLUMNS = 4


def writer_of(db: apsw.Connection) -> int:
    """Return the generation of an open outbox file, the first where the file has none yet."""
    if db.execute("SELECT count(*) FROM pragma_table_info('identity')").get != _COLUMNS:
        return FIRST_WRITER
    return db.execute("SELECT writer FROM identity").get or FIRST_WRITER


def lock_for_writing(path: Path, writer: int) -> int:
    """Take the lock of the file's generation, return its descriptor; raises OutboxInUse.

    Each generation has a lock of its own: a process from which the file was adopted may hold its
    own for ever.
    """
    name = f"{path}.lock" if writer == FIRST_WRITER else f"{path}.{writer}.lock"
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
        os.close(handle)
        raise OutboxInUse(
            f"process {holder} has the outbox open for writing",
            where=str(path),
            remedy="stop that process, or give this instance a source and outbox of its own",
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def open_for_writing(path: Path) -> apsw.Connection:
    """Open the file, made for its user alone where it is new."""
    new = not path.exists()
    db = apsw.Connection(str(path))
    if new:
        path.chmod(0o600)
    db.set_busy_timeout(BUSY_MS)
    return db


def write_ahead(db: apsw.Connection, path: Path) -> None:
    """Have every commit on this connection synced; raises OutboxInvalid where SQLite cannot."""
    db.execute("PRAGMA journal_mode = WAL")
    # NORMAL would skip the fsync behind every commit: durable receipts would be a lie.
    db.execute("PRAGMA synchronous = FULL")
    modes = (db.execute("PRAGMA journal_mode").get, db.execute("PRAGMA synchronous").get)
    if modes != ("wal", 2):
        raise OutboxInvalid(
            f"SQLite refuses write-ahead logging with full fsync: {modes}",
            where=str(path),
            remedy="put the outbox on a local disk",
        )


def shut_out(db: apsw.Connection, writer: int) -> None:
    """Have every commit of this connection fail once the file has another generation.

    The check is part of the statements that a commit makes anyway: inside its transaction.
    """
    db.execute(files(__package__).joinpath("guard.sql").read_text("utf-8"))
    db.execute("INSERT INTO own VALUES (?)", (writer,))


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say what is wrong with a place that cannot be written; raises OutboxUnwritable.

    To be entered around opening only: later, a failed write is a commit of unknown outcome.
    """
    try:
        yield
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.FullError, apsw.IOError, OSError) as error:
        raise OutboxUnwritable(
            f"the outbox cannot be opened for writing: {error}",
            where=str(path),
            remedy="give the app a local directory that it may write, with room on its disk; then "
            "start it again",
        ) from error
