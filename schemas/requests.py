"""What a running app is asked over its control connection, and what it answers.

A request is a row of memferry.request, announced by NOTIFY; the answer is JSON in the same row,
for `memory` rows of memferry.memory_row beside it, for `extraction` rows of memferry.memory_line.
A request of kind `retry` names no source: it asks the projector that has the partition.
"""

from typing import Literal, TypeAlias

import msgspec

from schemas.extraction import KindStatistics

RequestKind: TypeAlias = Literal[
    "memory", "catalog", "snapshot", "barrier", "sample", "statistics", "extraction"
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
    """Where a source's barrier stands, durable: partition → seq."""

    heads: dict[int, int]


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
