"""The fence: mutations wait for its leases, and for nothing else; nothing else waits for it."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest

from eventlog.entry import FerryClosed
from eventlog.fence import Pause
from eventlog.receipts import OutcomeUnknown, Receipt
from schemas import envelope
from schemas.domain import TransitionRefused
from tests.eventlog.app import (
    DEADLINE_S,
    App,
    account,
    deposited,
    fold,
    opened,
    refuse_commits,
    require_whole_lanes,
    rows_of,
    types_of,
)
from tests.eventlog.writer import IN_EFFECT_S, Mutation
from tests.projector.waiting import until

MakeApp = Callable[..., App]
LONG_S = 60.0
"""A lease that no test sees the end of."""
SHORT_S = 0.1


def test_a_mutation_waits_for_the_lease_and_goes_on_when_it_is_opened(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(opened("a")))
    assert mutation.still_waits()
    assert app.accounts == {}

    pause = app.ferry.fence.open("f")

    mutation.end()
    assert app.accounts == {"a": account("a")}
    assert pause is not None
    assert (pause.name, pause.lapsed) == ("f", False)
    assert pause.seconds >= IN_EFFECT_S
    assert app.ferry.fence.lapsed() == []


def test_a_lease_ends_by_itself_and_is_reported_once(app: App) -> None:
    app.ferry.fence.close("f", SHORT_S)

    app.ferry.record(opened("a")).durable(DEADLINE_S)

    (pause,) = app.ferry.fence.lapsed()
    assert pause == Pause("f", pause.seconds, True)
    assert pause.seconds == pytest.approx(SHORT_S)
    assert app.ferry.fence.lapsed() == []
    assert app.ferry.fence.open("f") is None
    assert not app.ferry.fence.prolong("f", LONG_S)


def test_of_many_that_wait_none_is_lost_or_refused_and_streams_keep_their_order(app: App) -> None:
    threads, each = 12, 20
    for who in range(threads):
        app.ferry.record(opened(f"a-{who}"))
    app.ferry.fence.close("f", LONG_S)

    def record(who: int) -> list[Receipt]:
        return [app.ferry.record(deposited(f"a-{who}", 1, n + 1)) for n in range(each)]

    mutations = [Mutation(partial(record, who)) for who in range(threads)]
    assert mutations[-1].still_waits()
    assert all(mutation.waits for mutation in mutations)
    app.ferry.place_barrier("b", "cutover", with_memory=False).receipts[-1].durable(DEADLINE_S)
    before = len(rows_of(app.path))

    app.ferry.fence.open("f")

    for mutation in mutations:
        mutation.end()
    app.ferry.durable.wait(app.ferry.recorded_position(), DEADLINE_S)
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert before == threads + 3
    assert len(rows) == before + threads * each
    assert fold(rows)["account"] == app.accounts
    assert {a.balance for a in app.accounts.values()} == {Decimal(each)}
    for mutation in mutations:
        assert [r.row for r in mutation.receipts] == sorted(r.row for r in mutation.receipts)


def test_what_an_app_decides_under_the_lock_is_not_refused_behind_a_fence(app: App) -> None:
    threads = 6
    app.ferry.record(opened("shared"))
    app.ferry.fence.close("f", LONG_S)

    def decide() -> Receipt:
        with app.ferry.lock:  # what is read stays true until it is recorded
            balance = app.accounts["shared"].balance
            return app.ferry.record(deposited("shared", 1, balance + 1))

    mutations = [Mutation(decide) for _ in range(threads)]
    assert mutations[-1].still_waits()
    assert all(mutation.waits for mutation in mutations)

    app.ferry.place_barrier("b", "cutover").receipts[-1].durable(DEADLINE_S)
    app.ferry.fence.open("f")

    for mutation in mutations:
        mutation.end()
    assert app.accounts["shared"].balance == threads


def test_writing_goes_on_once_the_last_of_two_leases_is_opened(app: App) -> None:
    app.ferry.fence.close("first", LONG_S)
    app.ferry.fence.close("second", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(opened("a")))

    app.ferry.fence.open("first")
    assert mutation.still_waits()
    app.ferry.fence.open("second")

    mutation.end()


def test_the_end_of_a_short_lease_leaves_the_long_one(app: App) -> None:
    app.ferry.fence.close("long", LONG_S)
    app.ferry.fence.close("short", SHORT_S)
    mutation = Mutation(lambda: app.ferry.record(opened("a")))

    until(app.ferry.fence.lapsed, "the end of the short lease")

    assert mutation.still_waits()
    app.ferry.fence.open("long")
    mutation.end()


def test_a_lease_may_be_prolonged_while_it_lasts(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    before = app.ferry.fence.leases["f"]

    assert app.ferry.fence.prolong("f", 2 * LONG_S)

    assert app.ferry.fence.leases["f"] > before
    assert not app.ferry.fence.prolong("another", LONG_S)


def test_a_waiting_mutation_sees_that_its_lease_is_prolonged(app: App) -> None:
    app.ferry.fence.close("f", 2 * SHORT_S)
    mutation = Mutation(lambda: app.ferry.record(opened("a")))

    assert app.ferry.fence.prolong("f", LONG_S)

    assert app.ferry.fence.left() > 2 * SHORT_S
    for _ in range(6):
        assert mutation.still_waits()
    app.ferry.fence.open("f")
    mutation.end()


def test_snapshot_barrier_and_control_events_do_not_wait(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a", 5)})
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(deposited("a", 1, 6)))
    assert mutation.still_waits()

    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    app.ferry.place_barrier("b", "cutover").receipts[-1].durable(DEADLINE_S)

    assert types_of(rows_of(app.path)) == [
        "ledger.account.snapshotted.v1",
        "memferry.source.snapshot_completed.v1",
        *["memferry.barrier.placed.v1"] * 3,
    ]
    app.ferry.fence.open("f")
    mutation.end()
    assert app.accounts == {"a": account("a", 6)}


def test_memory_can_be_read_while_a_mutation_waits(app: App) -> None:
    app.ferry.record(opened("a"))
    reader = app.ferry.reader("account")
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(deposited("a", 1, 1)))
    assert mutation.still_waits()

    found = reader.get("a")

    assert found == account("a")
    app.ferry.fence.open("f")
    mutation.end()


def test_a_unit_is_held_as_a_whole(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record_all([opened("a"), opened("b")]))
    assert mutation.still_waits()
    app.ferry.place_barrier("b", "cutover", with_memory=False).receipts[-1].durable(DEADLINE_S)
    assert len(rows_of(app.path)) == 3

    app.ferry.fence.open("f")

    mutation.end()
    mutation.receipts[-1].durable(DEADLINE_S)
    units = [envelope.decode(row.event).unit for row in rows_of(app.path)[3:]]
    assert len(units) == 2
    assert len(set(units)) == 1
    assert None not in units


def test_a_refusal_waits_for_the_fence_too(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(deposited("nobody", 1, 1)))
    assert mutation.still_waits()

    app.ferry.fence.open("f")

    with pytest.raises(TransitionRefused):
        mutation.end()


def test_what_waits_is_told_when_the_shim_closes(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    app.ferry.fence.close("g", LONG_S)
    mutations = [Mutation(partial(app.ferry.record, opened(str(n)))) for n in range(4)]
    assert mutations[-1].still_waits()
    assert all(mutation.waits for mutation in mutations)

    app.close()

    for mutation in mutations:
        with pytest.raises(FerryClosed):
            mutation.end()
    assert rows_of(app.path) == []


def test_a_disk_that_fails_behind_the_fence_ends_what_waits_for_it(app: App) -> None:
    app.ferry.fence.close("f", LONG_S)
    mutation = Mutation(lambda: app.ferry.record(opened("a")))
    refuse_commits(app.path)
    barrier = app.ferry.place_barrier("b", "cutover")
    with pytest.raises(OutcomeUnknown):
        barrier.receipts[-1].durable(DEADLINE_S)

    app.ferry.fence.open("f")

    with pytest.raises(OutcomeUnknown):
        mutation.end()
    assert app.accounts == {}
