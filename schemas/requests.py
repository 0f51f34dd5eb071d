"""What a running app is asked over its control connection, and what it answers.

A request is a row of memferry.request, announced by NOTIFY; the answer is JSON in the same row,
for `memory` rows of memferry.memory_row beside it.
"""

from typing import Literal, TypeAlias

import msgspec

RequestKind: TypeAlias = Literal["memory", "catalog", "snapshot", "barrier", "sample"]


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


class CatalogAnswer(msgspec.Struct, frozen=True):
    """What a running app holds, and which kinds of its domain it registered no container for."""

    source: str
    pid: int
    stores: list[StoreDescription]
    unregistered: list[str]


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
