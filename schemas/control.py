"""Control events: what sources and operators decide, kept in the log beside the app's own events.

A source's own lane in the control topic opens and retires it, and says what it voided; PostgreSQL's
decisions (savepoints, switches, mends) have a lane of their own there. Barriers, and the marks of
voids, go in the data lanes. All use the one envelope.
"""

from typing import Literal, TypeAlias

import msgspec

from schemas.derived.description import KindDescription
from schemas.mend import Mend
from schemas.table_sums import TableSums
from schemas.void import Void

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


class TailVoided(msgspec.Struct, frozen=True):
    """A source voided ends of its streams, in its own lane of the control topic."""

    void: Void
    topic: str
    reason: str
    actor: str


class TailRestored(msgspec.Struct, frozen=True):
    """A source reversed a void of its own, in its own lane of the control topic."""

    void: str
    source: str
    topic: str
    reason: str
    actor: str


class RolledBack(msgspec.Struct, frozen=True):
    """A mark in every lane of a source: what stands between `after` and it is void by `void`."""

    void: str
    after: int


class RolledForward(msgspec.Struct, frozen=True):
    """A mark in every lane of a source: what `void` took away counts again."""

    void: str


class SavepointTaken(msgspec.Struct, frozen=True):
    """A position has a name."""

    name: str
    projection: str
    topic: str
    generation: int
    offsets: dict[int, int]
    actor: str
    purpose: str = ""
    """What had it taken: `before-rollback`, `every` of a schedule; empty: somebody, by hand."""
    note: str = ""


class SavepointDropped(msgspec.Struct, frozen=True):
    """A position has its name no more; the name stays used."""

    name: str
    projection: str
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


Decision: TypeAlias = SavepointTaken | SavepointDropped | ReadsSwitched | SwitchAborted | LaneMended
"""What PostgreSQL decides and publishes."""
ControlEvent: TypeAlias = (
    SourceOpened | KindDeclared | SnapshotCompleted | SourceRetired | BarrierPlaced
    | TailVoided | TailRestored | RolledBack | RolledForward | Decision
)  # fmt: skip

CONTROL_TYPES: dict[str, type[ControlEvent]] = {
    "memferry.source.opened.v1": SourceOpened,
    "memferry.kind.declared.v1": KindDeclared,
    "memferry.source.snapshot_completed.v1": SnapshotCompleted,
    "memferry.source.retired.v1": SourceRetired,
    "memferry.barrier.placed.v1": BarrierPlaced,
    "memferry.tail.voided.v1": TailVoided,
    "memferry.tail.restored.v1": TailRestored,
    "memferry.rolled_back.v1": RolledBack,
    "memferry.rolled_forward.v1": RolledForward,
    "memferry.savepoint.taken.v1": SavepointTaken,
    "memferry.savepoint.dropped.v1": SavepointDropped,
    "memferry.reads.switched.v1": ReadsSwitched,
    "memferry.switch.aborted.v1": SwitchAborted,
    "memferry.lane.mended.v1": LaneMended,
}
CONTROL_TYPE_OF: dict[type[ControlEvent], str] = {t: name for name, t in CONTROL_TYPES.items()}
MARK_TYPES = frozenset({CONTROL_TYPE_OF[RolledBack], CONTROL_TYPE_OF[RolledForward]})
"""Of the marks of voids in the data lanes."""
_decoders = {name: msgspec.json.Decoder(event) for name, event in CONTROL_TYPES.items()}


def decode_control(event_type: str, data: msgspec.Raw) -> ControlEvent:
    """Return the control event of an envelope; raises KeyError for a type that is not ours."""
    decoded: ControlEvent = _decoders[event_type].decode(data)
    return decoded
