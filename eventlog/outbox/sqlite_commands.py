"""Commands in the SQLite outbox: written with their events, found by id from any thread."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import apsw
import msgspec

from eventlog.outbox.contract import Command, KeptCommand, KeptEvent, OutboxRow
from eventlog.outbox.sqlite_reader import BUSY_MS, damage_named

_FORGOTTEN_AT_ONCE = 1_000
_events = msgspec.json.Decoder(list[KeptEvent])


def write_commands(
    db: apsw.Connection, commands: Sequence[Command], rows: Sequence[OutboxRow]
) -> None:
    """Insert commands in the transaction that inserts these rows, which hold all their events."""
    first = rows[0].row
    for command in commands:
        if command.again:
            db.execute("DELETE FROM command WHERE id = ?", (command.id,))
        kept = [
            KeptEvent(row.row, event.event_id, row.partition, row.seq, row.stream)
            for event in command.events
            if (row := rows[event.row - first])
        ]
        db.execute(
            "INSERT INTO command VALUES (?, ?, ?, ?, ?)",
            (kept[0].row, command.id, int(time.time()), command.content, msgspec.json.encode(kept)),
        )


def forget_commands(db: apsw.Connection, before_row: int, before_s: float) -> int:
    """Delete commands whose events are pruned and which are older than a time; return how many.

    The oldest first, a bounded number at once, in the caller's transaction.
    """
    last = 0
    for row, recorded_s in db.execute(
        "SELECT row, recorded_s FROM command ORDER BY row LIMIT ?", (_FORGOTTEN_AT_ONCE,)
    ):
        if row >= before_row or recorded_s >= before_s:
            break
        last = row
    db.execute("DELETE FROM command WHERE row <= ?", (last,))
    return db.changes() if last else 0


class CommandIndex:
    """Finds commands by id on a connection of its own, which is opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: apsw.Connection | None = None

    def find(self, command_id: str) -> KeptCommand | None:
        """Return a durable command, None where the id is new or forgotten."""
        with self._lock, damage_named(self._path):
            if self._db is None:
                self._db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
                self._db.set_busy_timeout(BUSY_MS)
            found = self._db.execute(
                "SELECT content, events FROM command WHERE id = ?", (command_id,)
            ).get
        return KeptCommand(found[0], _events.decode(found[1])) if found is not None else None

    def close(self) -> None:
        """Close the connection; another `find` opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
