"""Recording: one step, one order, for any number of threads; barriers and control events."""

import threading
from collections.abc import Callable

import pytest

from eventlog import Context
from eventlog.entry import FerryClosed
from eventlog.stores import StoreRefused
from schemas import envelope
from schemas.control import BarrierPlaced, SnapshotCompleted, decode_control
from schemas.domain import TransitionRefused
from schemas.lane import CONTROL_PARTITION, partition_of
from tests.domains.ledger import Account
from tests.eventlog.app import (
    AT,
    DEADLINE_S,
    App,
    account,
    closed,
    deposited,
    fold,
    opened,
    readings,
    require_whole_lanes,
    rows_of,
    taken,
    types_of,
)

MakeApp = Callable[..., App]


def test_recording_changes_memory_and_says_where_the_event_is(app: App) -> None:
    receipt = app.ferry.record(opened("a", tags={"kind": "cash"}))

    assert app.accounts == {"a": Account("a", "ann", account("a").balance, AT, {"kind": "cash"})}
    assert receipt.stream == "account/a"
    assert receipt.partition == partition_of("account/a", 3)
    receipt.durable(DEADLINE_S)
    (row,) = rows_of(app.path)
    event = envelope.decode(row.event)
    assert (row.row, row.seq, row.partition) == (receipt.row, receipt.seq, receipt.partition)
    assert (event.id, event.source) == (receipt.event_id, "app-1")
    assert (event.type, event.subject) == ("ledger.account.opened.v1", "account/a")


def test_what_may_be_said_beside_the_data_is_kept_with_it(app: App) -> None:
    def context(command: str | None) -> Context:
        return Context(commandid=command, causationid="cause", traceparent="00-ab-cd-01")

    app.ferry.record(opened("a"), context=context(None))
    app.ferry.record(opened("b"), context=context("c-1"))
    app.ferry.record_all([opened("c")], context=context("c-2"))[0].durable(DEADLINE_S)

    events = [envelope.decode(row.event) for row in rows_of(app.path)]
    assert [event.commandid for event in events] == [None, "c-1", "c-2"]
    assert {(event.causationid, event.traceparent) for event in events} == {
        ("cause", "00-ab-cd-01")
    }
    assert events[0].unit is None
    assert events[2].unit


def test_an_entity_ends_and_may_begin_again(app: App) -> None:
    app.ferry.record(opened("a"))
    app.ferry.record(closed("a"))
    assert app.accounts == {}

    app.ferry.record(opened("a")).durable(DEADLINE_S)

    assert app.accounts == {"a": account("a")}
    assert fold(rows_of(app.path))["account"] == app.accounts


def test_the_events_of_a_unit_build_on_each_other(app: App) -> None:
    receipts = app.ferry.record_all(
        [opened("a"), deposited("a", 5, 5), opened("b"), deposited("a", 1, 6), closed("b")]
    )

    assert app.accounts == {"a": account("a", 6)}
    assert [receipt.row for receipt in receipts] == [1, 2, 3, 4, 5]
    receipts[-1].durable(DEADLINE_S)
    assert fold(rows_of(app.path))["account"] == app.accounts


def test_a_unit_may_be_empty(app: App) -> None:
    assert app.ferry.record_all([]) == []
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    assert len(rows_of(app.path)) == 1


def test_a_first_mutation_records_the_state_before_it(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a", 5), "b": account("b", 7)})

    app.ferry.record(deposited("a", 1, 6))
    app.ferry.record(deposited("a", 1, 7)).durable(DEADLINE_S)

    assert types_of(rows_of(app.path)) == [
        "ledger.account.snapshotted.v1",
        "ledger.account.deposited.v1",
        "ledger.account.deposited.v1",
    ]
    assert fold(rows_of(app.path))["account"] == {"a": account("a", 7)}


def test_a_first_mutation_in_a_unit_records_the_state_before_it(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a", 5)}, rings={"m": readings("m", 1, 2)})

    unit = app.ferry.record_all([deposited("a", 1, 6), taken("m", 3), deposited("a", 1, 7)])

    unit[-1].durable(DEADLINE_S)
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    for stream, wanted in {
        "account/a": ["snapshotted", "deposited", "deposited"],
        "reading/m": ["snapshotted", "snapshotted", "taken"],
    }.items():
        found = types_of(row for row in rows if row.stream == stream)
        assert [name.split(".")[2] for name in found] == wanted
    assert fold(rows) == app.memory()


def test_threads_that_record_at_once_leave_memory_as_the_log_has_it(make_app: MakeApp) -> None:
    app = make_app(accounts={"shared": account("shared")})
    threads_count, each = 6, 60

    def record(who: int) -> None:
        app.ferry.record(opened(f"own-{who}"))
        for number in range(each):
            app.ferry.record(deposited(f"own-{who}", 1, number + 1))
            app.ferry.record_all([taken(f"m-{who}", number), taken("m", who * 1_000 + number)])
            with app.ferry.lock:  # an app that reads before it decides holds the shim's lock
                balance = app.accounts["shared"].balance
                app.ferry.record(deposited("shared", 1, balance + 1))

    threads = [threading.Thread(target=record, args=(who,)) for who in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    app.close()
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    folded = fold(rows)
    assert app.accounts["shared"].balance == threads_count * each
    assert folded["account"] == app.accounts
    assert app.memory()["reading"].items() <= folded["reading"].items()
    assert len(folded["reading"]) == 2 * threads_count * each
    assert app.ferry.stats()["events_recorded"] == len(rows)


def test_a_transition_is_refused_to_all_threads_but_one(app: App) -> None:
    outcomes: list[str] = []

    def record() -> None:
        try:
            app.ferry.record(opened("a"))
            outcomes.append("opened")
        except TransitionRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert sorted(outcomes) == ["opened"] + ["refused"] * 7


def test_a_barrier_stands_in_every_lane_behind_what_was_recorded_before_it(app: App) -> None:
    names = [str(number) for number in range(30)]
    app.ferry.record_all([opened(name) for name in names])

    barrier = app.ferry.place_barrier("b-1", "audit")

    app.ferry.record_all([closed(name) for name in names])[-1].durable(DEADLINE_S)
    rows = rows_of(app.path)
    assert sorted(receipt.partition for receipt in barrier.receipts) == [0, 1, 2]
    for partition in range(3):
        lane = [row for row in rows if row.partition == partition]
        (place,) = [n for n, row in enumerate(lane) if "barrier" in types_of([row])[0]]
        assert types_of(lane[:place]) == ["ledger.account.opened.v1"] * place
        assert set(types_of(lane[place + 1 :])) == {"ledger.account.closed.v1"}
        event = envelope.decode(lane[place].event)
        placed = decode_control(event.type, event.data)
        assert isinstance(placed, BarrierPlaced)
        assert (placed.barrier, placed.purpose) == ("b-1", "audit")


def test_a_barrier_carries_memory_as_it_was(app: App) -> None:
    app.ferry.record_all([opened("a"), taken("m", 1), taken("m", 2)])
    before = app.memory()

    barrier = app.ferry.place_barrier("b-1", "audit")
    app.ferry.record_all([deposited("a", 1, 1), taken("m", 3), opened("b")])

    found = {kind.name: list(entities()) for kind, entities in barrier.memory}
    assert found == {name: list(entities.values()) for name, entities in before.items()}


def test_a_control_event_stands_in_the_sources_own_lane(app: App) -> None:
    event = SnapshotCompleted("app-1", 0, 0)

    receipt = app.ferry.record_control(event)

    receipt.durable(DEADLINE_S)
    (row,) = rows_of(app.path)
    found = envelope.decode(row.event)
    assert (row.partition, row.seq, row.stream) == (CONTROL_PARTITION, 1, "memferry/app-1")
    assert decode_control(found.type, found.data) == event


def test_stats_count_what_was_recorded(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a")})

    app.ferry.record(deposited("a", 1, 1)).durable(DEADLINE_S)

    assert app.ferry.stats() == {
        "events_recorded": 2,
        "queue_depth": 0,
        "durable_row": 2,
        "unsent": 2,
    }


def test_a_closed_ferry_takes_nothing_more(app: App) -> None:
    app.ferry.record(opened("a"))
    app.close()

    for attempt in (
        lambda: app.ferry.record(opened("b")),
        lambda: app.ferry.record_all([opened("b")]),
        lambda: app.ferry.record_control(SnapshotCompleted("app-1", 0, 0)),
        lambda: app.ferry.place_barrier("b", "audit"),
    ):
        with pytest.raises(FerryClosed, match="closed") as caught:
            attempt()
        assert caught.value.remedy
    assert list(app.accounts) == ["a"]
    app.close()
    assert len(rows_of(app.path)) == 1


def test_closers_run_the_last_added_first_and_get_the_timeout(app: App) -> None:
    called: list[tuple[str, float]] = []
    app.ferry.on_close(lambda timeout: called.append(("first", timeout)))
    app.ferry.on_close(lambda timeout: called.append(("second", timeout)))

    app.ferry.close(7.0)

    assert called == [("second", 7.0), ("first", 7.0)]


def test_a_kind_has_one_store(app: App) -> None:
    with pytest.raises(StoreRefused, match="kind 'account' has a store already") as caught:
        app.ferry.register("account", {})

    assert caught.value.remedy
    assert set(app.ferry.stores()) == {"account", "reading"}
