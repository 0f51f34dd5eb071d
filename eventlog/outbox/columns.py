"""Rows of an outbox by column, for who handles very many: nothing of its own for each row.

A row as an object costs as much as its way to Kafka, and objects that Python's collector follows
make it look through the whole app's memory again and again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from eventlog.outbox.contract import OutboxRow


class Columns(NamedTuple):
    """Durable events in commit order; see OutboxRow."""

    rows: Sequence[int]
    partitions: Sequence[int]
    seqs: Sequence[int]
    streams: Sequence[str]
    events: Sequence[bytes]

    def first(self, size: int) -> "Columns":
        """Return the first rows alone."""
        rows, partitions, seqs, streams, events = self
        return Columns(rows[:size], partitions[:size], seqs[:size], streams[:size], events[:size])

    def ordered(self) -> "Columns":
        """Return the same rows in commit order."""
        return self if sorted(self.rows) == self.rows else columns_of(sorted(self.as_rows()))

    def as_rows(self) -> list[OutboxRow]:
        """Return the rows as such."""
        return list(map(OutboxRow._make, zip(*self, strict=True)))


NONE = Columns([], [], [], [], [])


def columns_of(rows: Sequence[OutboxRow]) -> Columns:
    """Return rows by column."""
    return Columns(*map(list, zip(*rows, strict=True))) if rows else NONE
