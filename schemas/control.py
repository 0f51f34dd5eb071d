"""Control events: what sources and operators decide, kept in the log beside the app's own events.

A source's own lane in the control topic opens and retires it; PostgreSQL's decisions (savepoints)
have a lane of their own there. Barriers go in the data lanes. All use the one envelope.
"""

from typing import TypeAlias

import msgspec

DECISIONS_SOURCE = "memferry"
"""The source under which PostgreSQL's decisions are published; no app may take this name."""
CONTROL_PREFIX = "memferry."
"""Types with this prefix are ours: in a data lane they advance the lane and touch no table."""


class SourceOpened(msgspec.Struct, frozen=True):
    """A new outbox writes from now on; the first record of a source registers it."""

    source: str
    topic: str
    generation: int
    partitions: int
    host: str
    pid: int


class SnapshotCompleted(msgspec.Struct, frozen=True):
    """Everything that was in memory when the shim was attached is in the log."""

    source: str
    streams: int
    entities: int


class SourceRetired(msgspec.Struct, frozen=True):
    """The outbox writes no more; its final lane heads: partition → [seq, digest]."""

    source: str
    heads: dict[int, tuple[int, str]]


class BarrierPlaced(msgspec.Struct, frozen=True):
    """A mark in every partition; what stands before it in each lane was recorded before it."""

    barrier: str
    purpose: str


class SavepointTaken(msgspec.Struct, frozen=True):
    """A position has a name."""

    name: str
    projection: str
    topic: str
    generation: int
    offsets: dict[int, int]
    actor: str


ControlEvent: TypeAlias = (
    SourceOpened | SnapshotCompleted | SourceRetired | BarrierPlaced | SavepointTaken
)

CONTROL_TYPES: dict[str, type[ControlEvent]] = {
    "memferry.source.opened.v1": SourceOpened,
    "memferry.source.snapshot_completed.v1": SnapshotCompleted,
    "memferry.source.retired.v1": SourceRetired,
    "memferry.barrier.placed.v1": BarrierPlaced,
    "memferry.savepoint.taken.v1": SavepointTaken,
}
CONTROL_TYPE_OF: dict[type[ControlEvent], str] = {t: name for name, t in CONTROL_TYPES.items()}
_decoders = {name: msgspec.json.Decoder(event) for name, event in CONTROL_TYPES.items()}


def decode_control(event_type: str, data: msgspec.Raw) -> ControlEvent:
    """Return the control event of an envelope; raises KeyError for a type that is not ours."""
    decoded: ControlEvent = _decoders[event_type].decode(data)
    return decoded
