"""What every outbox promises the shim and the relay."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from schemas.errors import FerryError
from schemas.lane import LaneHead


class OutboxInvalid(FerryError):
    """The outbox is not what its name says: damaged, of another source, topic or format."""


class OutboxInUse(FerryError):
    """Another process has this outbox open for writing."""


class OutboxIdentity(msgspec.Struct, frozen=True):
    """Whose events an outbox holds and where they go; fixed when it is made."""

    source: str
    topic: str
    generation: int
    partitions: int


class Pending(Protocol):
    """An event that waits to be numbered and written; `seq` is set once it is durable."""

    row: int
    partition: int
    stream: str
    head: bytes
    data: bytes
    seq: int

    @property
    def epoch(self) -> int:
        """The epoch that the lane has from here on, where its own is lower; 0 raises nothing."""


class OutboxRow(NamedTuple):
    """One durable event: its row (commit order, from 1), lane place, Kafka key and bytes."""

    row: int
    partition: int
    seq: int
    stream: str
    event: bytes


class Outbox(Protocol):
    """The writing end: one a source, used by one thread at a time."""

    identity: OutboxIdentity

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""

    def append(self, pending: Sequence[Pending]) -> None:
        """Number, chain and write events in order, all or none; return after the fsync."""

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`.

        At most `limit`; fewer where they are large, none only where there are no more.
        """

    def close(self) -> None:
        """Let the next writer in."""
