"""A process that appends for ever, and says of each event that it is durable."""

import sys
from pathlib import Path

import msgspec

from eventlog.outbox.contract import Outbox
from eventlog.outbox.sqlite import SqliteOutbox
from schemas import envelope
from tests.eventlog.app import IDENTITY

OUTBOXES = {"sqlite": SqliteOutbox}
GROUP = 5
_WRITER = envelope.HeadWriter(IDENTITY.source, "ledger.account.opened.v1")


class Item:
    """An event that waits to be numbered."""

    def __init__(self, partition: int, stream: str, content: str, epoch: int = 0) -> None:
        self.row = 0
        self.seq = 0
        self.epoch = epoch
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
