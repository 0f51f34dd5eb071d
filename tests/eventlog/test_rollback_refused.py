"""When an app does not go back, and what it holds then."""

from collections.abc import Callable

import msgspec
import pytest

from eventlog.rollback import RollbackRefused
from eventlog.rollback_commit import commit
from tests.eventlog.app import (
    App,
    account,
    deposited,
    opened,
    rows_of,
    taken,
)
from tests.eventlog.rolling import (
    FENCE,
    ask,
    begin,
    fenced,
    go_back,
    go_on,
    here,
    ready,
)

MakeApp = Callable[..., App]


def test_a_reversal_is_refused_where_newer_events_stand_on_it(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    void = go_back(app.ferry, lanes)
    app.ferry.record_all([deposited("a", 1, 1), opened("d")])
    app.ferry.record(deposited("c", 1, 1))

    answer = ready(app.ferry, ask(app.ferry, void=void, restore=True))

    assert (answer.refused, answer.refused_total) == (["account/a", "account/d"], 2)
    with pytest.raises(RollbackRefused, match="2 streams stand in the way: account/a"):
        app.ferry.rollbacks.ready(void, app.ferry.stores(), app.ferry.voids)


def test_what_is_recorded_while_a_reversal_is_prepared_stands_in_its_way(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    void = go_back(app.ferry, lanes)
    assert ready(app.ferry, ask(app.ferry, void=void, restore=True)).refused == []
    app.ferry.record(deposited("c", 1, 1))
    app.ferry.rollbacks.ready(void, app.ferry.stores(), app.ferry.voids)

    app.ferry.record(deposited("a", 1, 1))

    with pytest.raises(RollbackRefused, match="account/a"):
        app.ferry.rollbacks.ready(void, app.ferry.stores(), app.ferry.voids)


def test_streams_whose_state_before_is_in_no_log_are_refused(make_app: MakeApp) -> None:
    app = make_app(accounts={"old": account("old", 3), "older": account("older", 4)})
    app.ferry.record(opened("a"))
    lanes = here(app.ferry)
    app.ferry.record_all([deposited("old", 1, 4), opened("new")])

    answer = ready(app.ferry, ask(app.ferry, lanes))

    assert (answer.refused, answer.refused_total) == (["account/old"], 1)
    assert ready(app.ferry, ask(app.ferry, lanes, streams=("account/new",))).refused == []
    question = ask(app.ferry, here(app.ferry))
    assert ready(app.ferry, question).refused == []
    app.ferry.record(deposited("older", 1, 5))
    with pytest.raises(RollbackRefused, match="account/older"):
        app.ferry.rollbacks.ready(question.void, app.ferry.stores(), app.ferry.voids)


def test_a_lease_that_is_over_leaves_the_tail(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    app.ferry.flush(10)
    before, rows = app.memory(), rows_of(app.path)
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    with fenced(app.ferry, question.void, 0.0), pytest.raises(RollbackRefused, match="lease"):
        commit(app.ferry, FENCE, question.void)

    assert app.memory() == before
    app.ferry.flush(10)
    assert rows_of(app.path)[len(rows) :] == []
    with fenced(app.ferry, question.void):
        commit(app.ferry, FENCE, question.void)
    assert app.accounts["a"] == account("a")


def test_nothing_is_done_that_was_not_prepared(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    one, other = ask(app.ferry, lanes), ask(app.ferry, lanes)
    ready(app.ferry, one)
    ready(app.ferry, other)
    stores, voids = app.ferry.stores(), app.ferry.voids

    with pytest.raises(RollbackRefused, match="nothing is prepared"):
        app.ferry.rollbacks.ready(one.void, stores, voids)

    with fenced(app.ferry, other.void):
        with pytest.raises(RollbackRefused, match="being decided"):
            ready(app.ferry, one)
        commit(app.ferry, FENCE, other.void)
    with pytest.raises(RollbackRefused, match="decided before"):
        ready(app.ferry, other)
    with pytest.raises(RollbackRefused, match="not in force"):
        ready(app.ferry, ask(app.ferry, restore=True))
    with pytest.raises(RollbackRefused, match="nothing is prepared"):
        app.ferry.rollbacks.ready(other.void, stores, app.ferry.voids)


def test_a_position_of_another_life_is_refused(app: App, make_app: MakeApp) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    other = make_app(app.path.with_name("other.db"))
    other.ferry.record_all([opened("x"), *(taken("m", n) for n in range(9))])
    foreign = here(other.ferry)
    own = here(app.ferry)
    ahead = {p: foreign.get(p, head) for p, head in own.items()}

    with pytest.raises(RollbackRefused, match="is not in this outbox"):
        ready(app.ferry, ask(app.ferry, ahead))
    foreign = {p: msgspec.structs.replace(h, digest="0" * 64) for p, h in lanes.items()}
    with pytest.raises(RollbackRefused, match="not the one that this outbox continues"):
        ready(app.ferry, ask(app.ferry, foreign))

    assert app.ferry.rollbacks.touched is None
