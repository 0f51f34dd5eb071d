"""Barriers of a switch: a mark in every lane, and an epoch that never falls."""

from collections.abc import Callable

import pytest

from eventlog.outbox.contract import OutboxRow
from projector.lanes import LaneBook
from schemas import envelope
from schemas.control import BarrierPlaced, SnapshotCompleted, decode_control
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION, EpochFell
from tests.eventlog.app import DEADLINE_S, App, account, opened, require_whole_lanes, rows_of
from tests.projector.app import record

MakeApp = Callable[..., App]
NAMES = [str(number) for number in range(12)]  # enough for every partition


def epochs(rows: list[OutboxRow]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row.partition, []).append(envelope.decode(row.event).epoch)
    return found


def admit(rows: list[OutboxRow]) -> list[FerryError | None]:
    """Let the projector's lane check follow the rows, as each partition of Kafka holds them."""
    lanes = LaneBook(1, {}, {"app-1"})
    said: list[FerryError | None] = []
    for row in rows:
        if row.partition == CONTROL_PARTITION:
            continue
        try:
            assert lanes.admit(record("t.1", row.partition, row.seq - 1, row.event)) is not None
        except FerryError as error:
            said.append(error)
        else:
            said.append(None)
    return said


def test_a_barrier_raises_every_lane_and_what_follows_keeps_it(app: App) -> None:
    app.ferry.record_all([opened(name) for name in NAMES])

    barrier = app.ferry.place_barrier("f-1", "cutover", epoch=5, with_memory=False)

    app.ferry.record_control(SnapshotCompleted("app-1", 0, 0))
    app.ferry.record_all([opened(f"after-{name}") for name in NAMES])[-1].durable(DEADLINE_S)
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert barrier.memory == []
    assert [receipt.partition for receipt in barrier.receipts] == [0, 1, 2]
    found = epochs(rows)
    assert found.pop(CONTROL_PARTITION) == [1]
    for receipt in barrier.receipts:
        lane = [row for row in rows if row.partition == receipt.partition]
        placed = envelope.decode(lane[receipt.seq - 1].event)
        event = decode_control(placed.type, placed.data)
        assert isinstance(event, BarrierPlaced)
        assert (event.barrier, event.purpose) == ("f-1", "cutover")
        assert receipt.digest == envelope.digest(lane[receipt.seq - 1].event)
        before, behind = receipt.seq - 1, len(lane) - receipt.seq + 1
        assert found[receipt.partition] == [1] * before + [5] * behind
    assert admit(rows) == [None] * (len(rows) - 1)


def test_a_barrier_without_an_epoch_leaves_the_lanes_as_they_are(app: App) -> None:
    app.ferry.place_barrier("f-1", "cutover", epoch=4)

    app.ferry.place_barrier("b-1", "audit").receipts[-1].durable(DEADLINE_S)

    assert epochs(rows_of(app.path)) == {0: [4, 4], 1: [4, 4], 2: [4, 4]}


def test_an_epoch_outlives_the_process(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.place_barrier("f-1", "cutover", epoch=9)
    app.close()

    again = make_app()
    again.ferry.record_all([opened(name) for name in NAMES])
    again.ferry.place_barrier("f-0", "switch_back", epoch=3).receipts[-1].durable(DEADLINE_S)

    rows = rows_of(again.path)
    assert {epoch for lane in epochs(rows).values() for epoch in lane} == {9}
    assert admit(rows) == [None] * len(rows)


def test_the_projector_would_stop_a_lane_whose_epoch_falls(app: App) -> None:
    app.ferry.place_barrier("f-1", "cutover", epoch=2)
    app.ferry.record_all([opened(name) for name in NAMES])[-1].durable(DEADLINE_S)
    rows = [row for row in rows_of(app.path) if row.partition == 0]
    second = rows[1].event.replace(b'"epoch":2', b'"epoch":1')
    assert second != rows[1].event

    said = admit([rows[0], rows[1]._replace(event=second)])

    assert said[0] is None
    with pytest.raises(EpochFell, match="event 2 has epoch 1 after epoch 2"):
        raise said[1] or AssertionError


def test_a_barrier_behind_a_first_mutation_stands_behind_its_snapshot(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a")})
    receipt = app.ferry.record(opened("b"))

    barrier = app.ferry.place_barrier("f-1", "cutover", epoch=2)

    barrier.receipts[-1].durable(DEADLINE_S)
    assert barrier.receipts[receipt.partition].seq == receipt.seq + 1
