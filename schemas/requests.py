"""What a running app is asked over its control connection, and what it answers.

A request is a row of memferry.request, announced by NOTIFY; the answer is JSON in the same row,
for `memory` rows of memferry.memory_sum beside it, for `memory_rows` of memferry.memory_row, for
`extraction` rows of memferry.memory_line.
A request of kind `retry` names no source: it asks the projector that has the partition.
"""

from typing import Literal, TypeAlias

import msgspec

from schemas.extraction import KindStatistics
from schemas.lane import LaneHead
from schemas.table_sums import TableSums

RequestKind: TypeAlias = Literal[
    "memory",
    "memory_rows",
    "outbox",
    "catalog",
    "snapshot",
    "barrier",
    "sample",
    "statistics",
    "extraction",
    "rollback",
]


class StoreDescription(msgspec.Struct, frozen=True):
    """One registered container; `streams` and `entities` are counts, `unrecorded` of streams."""

    kind: str
    entity: str
    container: str
    streams: int
    entities: int
    unrecorded: int
    """Streams whose state the log does not hold yet: the first snapshot brings them."""
    windowed: bool
    """Memory holds the newest entities only."""
    name: str = ""
    """Where the container is in the app, as `app.engine.orders`, where the app is watched."""
    memory_bytes: int = 0
    """An estimate, from a few entities walked whole."""


class ContainerDescription(msgspec.Struct, frozen=True):
    """A container of data that no store was registered for."""

    path: str
    description: str


class AppWalked(msgspec.Struct, frozen=True):
    """What a walk of the watched app objects found; `apps` and `objects` are counts."""

    apps: int = 0
    objects: int = 0
    complete: bool = True
    """Whether it ended before its bound."""
    unmapped: list[ContainerDescription] = []
    excluded: dict[str, str] = {}
    """Path → reason, of what was met."""
    excluded_unmet: list[str] = []
    """Paths that are excluded and not there: misspelt, or gone."""
    paths: dict[str, str] = {}
    """Kind → where its container is."""


class CatalogAnswer(msgspec.Struct, frozen=True):
    """What a running app holds, and which kinds of its domain it registered no container for."""

    source: str
    pid: int
    stores: list[StoreDescription]
    unregistered: list[str]
    walked: AppWalked = AppWalked()


class SurveyProgress(msgspec.Struct, frozen=True):
    """How many entities were looked at so far; some are looked at twice."""

    looked: int


class ExtractionAnswer(msgspec.Struct, frozen=True):
    """How many entities were selected, by kind, and the outbox's newest row as they were copied."""

    source: str
    position: int
    counts: dict[str, int]


class StatisticsAnswer(msgspec.Struct, frozen=True):
    """What a running app's entities hold, and what looks wrong with them."""

    source: str
    kinds: list[KindStatistics]


class SnapshotAnswer(msgspec.Struct, frozen=True):
    """How far a source's first snapshot is, in streams; `error` says why it stopped, if it did."""

    streams: int
    total: int
    done: bool
    error: str = ""


class BarrierAnswer(msgspec.Struct, frozen=True):
    """Where a source's barrier stands, durable: partition → seq; and the sums that stand in it."""

    heads: dict[int, int]
    counting: str = ""
    sums: dict[int, dict[str, TableSums]] = {}


class SampleAnswer(msgspec.Struct, frozen=True):
    """Entities that a source read both from memory and from the tables; mismatches by name."""

    compared: int
    mismatches: list[str]


class RetryQuestion(msgspec.Struct, frozen=True):
    """A parked stream that a projector is asked to apply again."""

    stream: str
    partition: int
    asked_by: str = ""


class RetryAnswer(msgspec.Struct, frozen=True):
    """What became of a parked stream's events; `reason` says why those that are left stay."""

    stream: str
    applied: int
    left: int
    reason: str


class MemoryQuestion(msgspec.Struct, frozen=True):
    """What an audit asks of memory: of which tables; of all where none is named."""

    tables: list[str] = []


class MemoryAnswer(msgspec.Struct, frozen=True):
    """What memory held as a barrier was placed, beside the rows of memferry.memory_sum.

    The app keeps what it held for as long as the request is there, a few minutes at most, for
    `memory_rows` to be asked.
    """

    barrier: str
    heads: dict[int, tuple[int, str]]
    """Partition → (seq, SHA-256 in hex) of the barrier's event there, as the app numbered it."""
    misplaced: list[str] = []
    """Entities under a key that is not theirs, or that are there twice: container, key, own key."""
    tables: list[str] | None = None
    """Of the containers that were registered then: an app that has just started may have more to
    come. None: nothing is known of that."""
    unrecorded: int = 0
    """Streams that wait for the first snapshot: neither sums nor rows have anything of them."""


class MemoryPart(msgspec.Struct, frozen=True):
    """Rows of memory to be named one by one: all of a bucket, or all of a windowed stream."""

    partition: int
    table: str
    bucket: int | None = None
    stream: str | None = None


class MemoryRowsQuestion(msgspec.Struct, frozen=True):
    """Which rows, of the memory that was held for the `memory` request of this id."""

    request: str
    parts: list[MemoryPart]


class OutboxQuestion(msgspec.Struct, frozen=True):
    """What an audit asks of an outbox: all of it, or what was not looked at before."""

    whole: bool = True


class OutboxAnswer(msgspec.Struct, frozen=True):
    """Whether a running app's outbox is whole, and continues as the app numbered it."""

    events: int
    findings: list[str]
    """Each with its row, lane and seq."""
    first: dict[int, int]
    """Partition → the first seq that was not pruned."""
    heads: dict[int, tuple[int, str]]
    """Partition → (seq, SHA-256 in hex) of its newest event."""


class RollbackQuestion(msgspec.Struct, frozen=True):
    """What an app is asked to prepare: its memory as it will be once ends of streams are void.

    With `restore` the void of this id is to be reversed instead, and all else but `shadow`,
    `reason` and `actor` says nothing. The fence that follows bears the id in its `subject`.
    """

    void: str
    lanes: dict[int, LaneHead] = {}
    """Partition → this source's last event that counts; one with none is left out."""
    offsets: dict[int, int] = {}
    """The position in the topic: what is below counts."""
    streams: tuple[str, ...] = ()
    """Whose ends are void; empty: all."""
    shadow: str = ""
    """A schema whose tables stand at `offsets` exactly, memory can be read from them; may be
    empty."""
    restore: bool = False
    reason: str = ""
    actor: str = ""


class RollbackReady(msgspec.Struct, frozen=True):
    """An app that has prepared, and can commit under a fence; counts are of now."""

    streams: int
    """Whose state changes."""
    entities: int
    """Of those streams, as they will be."""
    refused: list[str] = []
    """Streams that stand in the way, the first few: their earlier state is not in the log, or, for
    a void that is to be reversed, newer events stand on what it left."""
    refused_total: int = 0
