"""What else an app does while it goes back: snapshots, commands, barriers, mutations."""

from collections.abc import Callable
from typing import Any

import pytest

from eventlog.rollback_commit import commit
from schemas import envelope
from schemas.control import RolledBack
from schemas.lane import partition_of
from tests.eventlog.app import (
    App,
    account,
    deposited,
    fold,
    opened,
    readings,
    rows_of,
    taken,
)
from tests.eventlog.rolling import (
    FENCE,
    ask,
    begin,
    controls,
    counting,
    fenced,
    go_back,
    go_on,
    here,
    marks,
    ready,
)
from tests.eventlog.writer import Mutation

MakeApp = Callable[..., App]


def test_a_first_snapshot_waits_for_the_end_of_the_fence(make_app: MakeApp) -> None:
    app = make_app(accounts={"old": account("old", 3)})
    app.ferry.record(opened("a"))
    lanes = here(app.ferry)
    app.ferry.record(opened("b"))
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    with fenced(app.ferry, question.void):
        app.ferry.snapshot()
        assert not app.ferry.snapshot_done.wait(0.05)
        commit(app.ferry, FENCE, question.void)

    assert app.ferry.snapshot_done.wait(10)
    app.ferry.flush(10)
    assert fold(counting(rows_of(app.path)))["account"] == app.accounts
    assert app.accounts.keys() == {"old", "a"}


def test_first_snapshots_are_marked_in_the_log_and_creations_are_not(make_app: MakeApp) -> None:
    app = make_app(
        accounts={name: account(name) for name in "abc"}, rings={"m": readings("m", 1, 2)}
    )

    app.ferry.record(deposited("a", 1, 1))
    app.ferry.record_all([deposited("b", 1, 1), taken("m", 3), opened("new")])
    app.ferry.record_snapshot("account", ["account/c"])
    app.ferry.record(deposited("c", 1, 1))

    app.ferry.flush(10)
    events = [envelope.decode(row.event) for row in rows_of(app.path)]
    first = ["a", "b", "m", "m", "c"]
    assert [e.subject.partition("/")[2] for e in events if e.snapshot] == first
    assert {e.type.rpartition(".snap")[0] != "" for e in events if e.snapshot} == {True}


def test_a_command_that_was_rolled_back_is_new_again(app: App, make_app: MakeApp) -> None:
    command = envelope.Context(commandid="c-1")
    (first,) = app.ferry.record_all([opened("kept")], context=envelope.Context(commandid="c-0"))
    lanes = here(app.ferry)
    app.ferry.record_all([opened("a")], context=command)
    void = go_back(app.ferry, lanes)

    again = app.ferry.record(opened("a", owner="eve"), context=command)

    again.durable(10)
    assert app.accounts["a"].owner == "eve"
    assert app.ferry.record(opened("a", owner="eve"), context=command).seq == again.seq
    kept = app.ferry.record(opened("kept"), context=envelope.Context(commandid="c-0"))
    assert kept.event_id == first.event_id
    assert void in app.ferry.voids.in_force
    app.close()
    restarted = make_app()
    repeated = restarted.ferry.record(opened("a", owner="eve"), context=command)
    assert (repeated.event_id, repeated.seq) == (again.event_id, again.seq)


def test_a_command_rolled_back_before_a_restart_is_new_again(app: App, make_app: MakeApp) -> None:
    app.ferry.record(opened("x"))
    lanes = here(app.ferry)
    app.ferry.record(opened("a"), context=envelope.Context(commandid="c-1"))
    go_back(app.ferry, lanes)
    app.close()
    again = make_app()

    again.ferry.record(opened("a"), context=envelope.Context(commandid="c-1")).durable(10)

    assert again.accounts.keys() == {"x", "a"}


@pytest.mark.parametrize("unit", [False, True])
def test_a_mutation_that_waited_is_tried_on_the_state_that_it_finds(app: App, unit: bool) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    def record(*events: Any) -> Mutation:
        if unit:
            return Mutation(lambda: app.ferry.record_all(events))
        return Mutation(lambda: app.ferry.record(events[0]))

    with fenced(app.ferry, question.void):
        stale = record(deposited("a", 1, 6))
        assert stale.still_waits()
        commit(app.ferry, FENCE, question.void)
    with pytest.raises(Exception, match="does not follow"):
        stale.end()

    fresh = ask(app.ferry, here(app.ferry))
    ready(app.ferry, fresh)
    with fenced(app.ferry, fresh.void):
        waiting = record(deposited("a", 1, 1))
        assert waiting.still_waits()
        commit(app.ferry, FENCE, fresh.void)
    waiting.end()
    assert app.accounts["a"] == account("a", 1)
    app.ferry.flush(10)
    assert fold(counting(rows_of(app.path)))["account"] == app.accounts


def test_a_repeated_command_that_waited_is_new_where_it_was_rolled_back(app: App) -> None:
    app.ferry.record(opened("x"))
    lanes = here(app.ferry)
    context = envelope.Context(commandid="c-1")
    app.ferry.record(opened("a"), context=context)
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    with fenced(app.ferry, question.void):
        retry = Mutation(lambda: app.ferry.record(opened("a"), context=context))
        assert retry.still_waits()
        commit(app.ferry, FENCE, question.void)
    retry.end()

    retry.receipts[0].durable(10)
    assert app.accounts.keys() == {"x", "a"}
    assert retry.receipts[0].seq > marks(rows_of(app.path))[partition_of("account/a", 3)][0]


def test_barriers_count_anew_and_the_marks_are_no_one_elses(app: App) -> None:
    begin(app)
    app.ferry.place_barrier("b-1", "audit")
    lanes = here(app.ferry)
    go_on(app)
    counting_before = app.ferry.digests.counting

    go_back(app.ferry, lanes)

    barrier = app.ferry.place_barrier("b-2", "audit")
    assert barrier.counting != counting_before
    found = [e for _, _, e in controls(rows_of(app.path)) if isinstance(e, RolledBack)]
    assert len(found) == 3


def test_a_snapshot_taken_again_does_not_bring_back_what_is_void(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    go_back(app.ferry, lanes)
    before = app.memory()
    for _ in range(2):
        app.ferry.snapshot()
        assert app.ferry.snapshot_done.wait(10)
    events = app.ferry.stats()["events_recorded"]

    app.ferry.snapshot()

    assert app.ferry.snapshot_done.wait(10)
    assert app.ferry.snapshot_error is None
    assert app.ferry.stats()["events_recorded"] == events
    assert app.memory() == before
