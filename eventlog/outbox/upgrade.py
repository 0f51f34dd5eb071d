"""An outbox file of an earlier format, moved to the present one in one transaction."""

import os
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from eventlog.outbox.sqlite_file import (
    lock_for_writing,
    open_for_writing,
    write_ahead,
    writer_of,
)
from eventlog.outbox.sqlite_reader import (
    FORMAT,
    damage_named,
    read_format,
    refuse_format,
    require_outbox,
    require_recent_sqlite,
)


class Upgrade(NamedTuple):
    """A file's format before and after."""

    found: int
    format: int


def upgrade(path: Path, *, dry_run: bool = False) -> Upgrade:
    """Move an outbox file to the present format; with `dry_run` only say what would be done.

    The file's lock is held meanwhile, so no app writes it. A kill at any moment leaves the file in
    the one format or the other.
    Raises: OutboxInUse, OutboxInvalid, also where the file's format is a later one.
    """
    require_recent_sqlite()
    require_outbox(path)
    with damage_named(path):
        db = open_for_writing(path)
        lock = -1
        try:
            lock = lock_for_writing(path, writer_of(db))
            found = read_format(db, path)
            if found > FORMAT:
                refuse_format(path, found)
            if found < FORMAT and not dry_run:
                write_ahead(db, path)
                with db:
                    for earlier in range(found, FORMAT):
                        step = files(__package__).joinpath(f"upgrade_{earlier}.sql")
                        db.execute(step.read_text("utf-8"))
                    db.execute("UPDATE identity SET format = ?", (FORMAT,))
        finally:
            db.close()
            if lock >= 0:
                os.close(lock)
    return Upgrade(found, FORMAT)
