"""Control events: what is written of them is what is read."""

import msgspec
import pytest

from schemas import envelope
from schemas.control import (
    CONTROL_PREFIX,
    CONTROL_TYPE_OF,
    CONTROL_TYPES,
    BarrierPlaced,
    ControlEvent,
    KindDeclared,
    LaneMended,
    ReadsSwitched,
    RolledBack,
    RolledForward,
    SavepointDropped,
    SavepointTaken,
    SnapshotCompleted,
    SourceOpened,
    SourceRetired,
    SwitchAborted,
    TailRestored,
    TailVoided,
    decode_control,
)
from schemas.derived.description import Column, KindDescription
from schemas.lane import LaneHead
from schemas.mend import Mend
from schemas.table_sums import TableSums
from schemas.void import Span, Void

VOID = Void("v-1", "app-1", 1, {0: Span(4, 9), 2: Span(0, 1)}, ("order/7",))
EVENTS: list[ControlEvent] = [
    SourceOpened("app-1", "t", 1, 3, "host", 17),
    KindDeclared("app-1", KindDescription("p", "ps", (Column("s", "text", True),), ("s",), ("s",))),
    SnapshotCompleted("app-1", 3, 9),
    SourceRetired("app-1", {0: (5, "ab" * 32), 2: (1, "cd" * 32)}),
    BarrierPlaced("b-1", "audit"),
    BarrierPlaced("b-1", "audit", "c-1", {"accounts": TableSums("AA==", "")}),
    TailVoided(VOID, "t", "a wrong price", "ann"),
    TailRestored("v-1", "app-1", "t", "it was right", "ann"),
    RolledBack("v-1", 4),
    RolledForward("v-1"),
    SavepointTaken("before", "ledger", "t", 1, {0: 5, 1: 0}, "ann"),
    SavepointTaken("every-5", "ledger", "t", 1, {0: 5, 1: 0}, "ann", "every", "a note"),
    SavepointDropped("before", "ledger", "ann"),
    ReadsSwitched("ledger", "postgres", 4, "f-1", {"app-1": {0: 5, 2: 9}, "app-2": {}}, "ann"),
    SwitchAborted("ledger", "cutover", 4, "f-1", "the lease ended", "ann"),
    LaneMended(
        "t", Mend(1, 0, 7, "app-1", (7,), 8, LaneHead(4, "ab" * 32, 1)), "a hole", "lost", "ann"
    ),
]


def test_there_is_an_example_of_every_control_event() -> None:
    assert {type(event) for event in EVENTS} == set(CONTROL_TYPES.values())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_control_event_is_read_as_it_was_written(event: ControlEvent) -> None:
    name = CONTROL_TYPE_OF[type(event)]
    head = envelope.HeadWriter("app-1", name).head("memferry/app-1", "id-1", 0)

    found = envelope.decode(envelope.seal(head, msgspec.json.encode(event), 1, 1, "00" * 32))

    assert found.type.startswith(CONTROL_PREFIX)
    assert decode_control(found.type, found.data) == event


def test_types_that_logs_out_there_hold_do_not_change() -> None:
    assert {name: event.__name__ for name, event in CONTROL_TYPES.items()} == {
        "memferry.source.opened.v1": "SourceOpened",
        "memferry.kind.declared.v1": "KindDeclared",
        "memferry.source.snapshot_completed.v1": "SnapshotCompleted",
        "memferry.source.retired.v1": "SourceRetired",
        "memferry.barrier.placed.v1": "BarrierPlaced",
        "memferry.tail.voided.v1": "TailVoided",
        "memferry.tail.restored.v1": "TailRestored",
        "memferry.rolled_back.v1": "RolledBack",
        "memferry.rolled_forward.v1": "RolledForward",
        "memferry.savepoint.taken.v1": "SavepointTaken",
        "memferry.savepoint.dropped.v1": "SavepointDropped",
        "memferry.reads.switched.v1": "ReadsSwitched",
        "memferry.switch.aborted.v1": "SwitchAborted",
        "memferry.lane.mended.v1": "LaneMended",
    }


def test_a_type_that_is_not_ours_is_no_control_event() -> None:
    with pytest.raises(KeyError):
        decode_control("ledger.account.opened.v1", msgspec.Raw(b"{}"))


def test_a_control_event_without_its_fields_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_control("memferry.barrier.placed.v1", msgspec.Raw(b'{"barrier":"b-1"}'))


def test_reads_are_not_switched_to_a_place_that_is_not_known() -> None:
    data = msgspec.json.encode(ReadsSwitched("ledger", "memory", 1, "", {}, "ann"))
    elsewhere = data.replace(b'"memory"', b'"nowhere"')

    with pytest.raises(msgspec.ValidationError, match=r"\$\.route"):
        decode_control("memferry.reads.switched.v1", msgspec.Raw(elsewhere))
