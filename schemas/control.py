"""Control events: what sources and operators decide, kept in the log beside the app's own events.

A source's own lane in the control topic opens and retires it; PostgreSQL's decisions (savepoints,
switches, mends) have a lane of their own there. Barriers go in the data lanes. All use the one
envelope.
"""

from typing import Literal, TypeAlias

import msgspec

from schemas.derived.description import KindDescription
from schemas.mend import Mend
from schemas.table_sums import TableSums

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


class KindDeclared(msgspec.Struct, frozen=True):
    """A source records a kind that no code but its own knows: what there is to know of it."""

    source: str
    kind: KindDescription


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
    """A mark in every partition; what stands before it in each lane was recorded before it.

    `sums` say, table by table, how the rows of this source in this partition changed since its app
    began to count, which `counting` names: another name, another beginning.
    """

    barrier: str
    purpose: str
    counting: str = ""
    sums: dict[str, TableSums] = {}


class SavepointTaken(msgspec.Struct, frozen=True):
    """A position has a name."""

    name: str
    projection: str
    topic: str
    generation: int
    offsets: dict[int, int]
    actor: str


class ReadsSwitched(msgspec.Struct, frozen=True):
    """Reads of a projection go to another place from now on.

    `fence` is empty where no writer had to stand still (into and out of `shadow`); `heads` are the
    barriers' numbers, source → partition → seq.
    """

    projection: str
    route: Literal["memory", "shadow", "postgres"]
    epoch: int
    fence: str
    heads: dict[str, dict[int, int]]
    actor: str


class SwitchAborted(msgspec.Struct, frozen=True):
    """A fence ended without a decision: reads stay where they were."""

    projection: str
    purpose: str
    epoch: int
    fence: str
    reason: str
    actor: str


class LaneMended(msgspec.Struct, frozen=True):
    """A damaged place of the log no longer stops its lane; `error` is what had stopped it."""

    topic: str
    mend: Mend
    error: str
    reason: str
    actor: str


Decision: TypeAlias = SavepointTaken | ReadsSwitched | SwitchAborted | LaneMended
"""What PostgreSQL decides and publishes."""
ControlEvent: TypeAlias = (
    SourceOpened | KindDeclared | SnapshotCompleted | SourceRetired | BarrierPlaced | Decision
)

CONTROL_TYPES: dict[str, type[ControlEvent]] = {
    "memferry.source.opened.v1": SourceOpened,
    "memferry.kind.declared.v1": KindDeclared,
    "memferry.source.snapshot_completed.v1": SnapshotCompleted,
    "memferry.source.retired.v1": SourceRetired,
    "memferry.barrier.placed.v1": BarrierPlaced,
    "memferry.savepoint.taken.v1": SavepointTaken,
    "memferry.reads.switched.v1": ReadsSwitched,
    "memferry.switch.aborted.v1": SwitchAborted,
    "memferry.lane.mended.v1": LaneMended,
}
CONTROL_TYPE_OF: dict[type[ControlEvent], str] = {t: name for name, t in CONTROL_TYPES.items()}
_decoders = {name: msgspec.json.Decoder(event) for name, event in CONTROL_TYPES.items()}


def decode_control(event_type: str, data: msgspec.Raw) -> ControlEvent:
    """Return the control event of an envelope; raises KeyError for a type that is not ours."""
    decoded: ControlEvent = _decoders[event_type].decode(data)
    return decoded
