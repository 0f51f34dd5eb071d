"""A process that appends for ever, and says of each event that it is durable."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from eventlog.outbox.contract import Outbox, OutboxIdentity
from eventlog.outbox.postgres import PostgresOutbox
from eventlog.outbox.postgres_place import Place
from eventlog.outbox.sqlite import SqliteOutbox
from schemas import envelope
from tests.eventlog.app import IDENTITY

DSN = "MEMFERRY_TEST_OUTBOX_DSN"
"""The variable that says where PostgreSQL is."""


def postgres_place(path: Path) -> Place:
    """Return the schema that stands for a path."""
    return Place(os.environ[DSN], f"o{hashlib.sha256(str(path).encode()).hexdigest()[:20]}")


def postgres_outbox(path: Path, identity: OutboxIdentity) -> PostgresOutbox:
    return PostgresOutbox(postgres_place(path), identity)


OUTBOXES: dict[str, Callable[[Path, OutboxIdentity], Outbox]] = {
    "sqlite": SqliteOutbox,
    "postgres": postgres_outbox,
}
GROUP = 5
_WRITER = envelope.HeadWriter(IDENTITY.source, "ledger.account.opened.v1")


class Item:
    """An event that waits to be numbered."""

    def __init__(self, partition: int, stream: str, content: str, epoch: int = 0) -> None:
        self.row = 0
        self.seq = 0
        self.epoch = epoch
        self.digest: str | None = None
        self.partition = partition
        self.stream = stream
        self.head = _WRITER.head(stream, "id", 0)
        self.data = msgspec.json.encode({"content": content})


def append_for_ever(outbox: Outbox) -> None:
    """Append groups of five and print the row and the SHA-256 of each event once it is durable."""
    while True:
        first = outbox.last_row()
        group = [Item((first + n) % 3, f"account/{n}", str(first + n)) for n in range(GROUP)]
        outbox.append(group)
        for row in outbox.rows(first, GROUP):
            sys.stdout.write(f"{row.row} {envelope.digest(row.event)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    append_for_ever(OUTBOXES[sys.argv[1]](Path(sys.argv[2]), IDENTITY))
