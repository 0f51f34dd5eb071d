"""What every outbox promises the shim and the relay."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from schemas.errors import FerryError
from schemas.lane import LaneHead


class OutboxInvalid(FerryError):
    """The outbox is not what its name says: damaged, of another source, topic or format."""


class OutboxUnwritable(FerryError):
    """The outbox's place cannot be written; nothing was recorded."""


class OutboxInUse(FerryError):
    """Another process has this outbox open for writing."""


class OutboxAdopted(FerryError):
    """Another process took this outbox over; nothing more is acknowledged here."""


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

    @property
    def digest(self) -> str | None:
        """Return "" where the sealed event's SHA-256 is wanted, None elsewhere."""

    @digest.setter
    def digest(self, value: str | None) -> None: ...


class Named(Pending, Protocol):
    """A waiting event with an id of its own: one that a command recorded."""

    event_id: str


class Command:
    """A command that is being recorded: its id, its content's digest, the events it records."""

    __slots__ = ("again", "content", "events", "id")

    def __init__(self, command_id: str, content: bytes) -> None:
        self.id = command_id
        self.content = content
        self.again = False
        """Whether it was recorded before, and all its events of then are void."""
        self.events: Sequence[Named] = ()


class KeptEvent(NamedTuple):
    """One event of a command that is durable: what its receipt says."""

    row: int
    event_id: str
    partition: int
    seq: int
    stream: str


class KeptCommand(NamedTuple):
    """A command that is durable: its content's digest and its events."""

    content: bytes
    events: list[KeptEvent]


class Safe(NamedTuple):
    """What an outbox need not keep: events that are in the topic and in all tables."""

    sent_row: int
    """The newest row that Kafka has acknowledged."""
    applied: Mapping[int, int]
    """Partition → the lane's last event that every projection has applied."""


class OutboxRow(NamedTuple):
    """One durable event: its row (commit order, from 1), lane place, Kafka key and bytes."""

    row: int
    partition: int
    seq: int
    stream: str
    event: bytes


class Written(NamedTuple):
    """What a writer knows of its outbox without looking."""

    heads: Mapping[int, LaneHead]
    """The last event of each lane that has one."""
    firsts: Mapping[int, int]
    """Partition → the first seq that is not pruned; 1 where it says nothing."""


class Outbox(Protocol):
    """The writing end: one a source, used by one thread at a time."""

    identity: OutboxIdentity

    @property
    def place(self) -> str:
        """Where it is, for an error to name."""

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""

    def firsts(self) -> Mapping[int, int]:
        """Return the first event of each lane that is not pruned, as it was at the last look."""

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""

    def lane_rows(self, partition: int) -> list[OutboxRow]:
        """Return every durable event of one lane, in its order: for the short control lane."""

    def append(self, pending: Sequence[Pending], commands: Sequence[Command] = ()) -> None:
        """Number, chain and write events in order, all or none; return after the fsync.

        `commands` are those whose events are all among these; they are durable with them.
        """

    def command(self, command_id: str) -> KeptCommand | None:
        """Return a durable command, None where the id is new or forgotten; from any thread."""

    def holds_commands(self) -> bool:
        """Say whether `command` may find anything that was written before this opening."""

    def look_after(self) -> None:
        """Do what is due while nothing is written; raises OutboxAdopted. By the writing thread."""

    def prune(self, safe: Safe, limit: int, kept_s: float) -> int:
        """Delete up to `limit` rows that are safe elsewhere, the oldest first; return how many.

        Commands older than `kept_s` are forgotten with their events. By the writing thread.
        """

    def used_bytes(self) -> int:
        """Return what the outbox takes now, room for reuse not counted; by the writing thread."""

    def free_bytes(self) -> int | None:
        """Return what is free where the outbox is, None where that is not known."""

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`.

        At most `limit`; fewer where they are large, none only where there are no more.
        """

    def close(self) -> None:
        """Let the next writer in."""


class OutboxReader(Protocol):
    """The reading end: for the relay, restart and status. It sees durable events only."""

    identity: OutboxIdentity

    @property
    def path(self) -> object:
        """Where it is, for an error to name."""

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, as `Outbox.rows` does."""

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""

    def at(self, partition: int, seq: int) -> OutboxRow | None:
        """Return one event by its place in its lane."""

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""

    def close(self) -> None:
        """Let go of what it reads from."""
