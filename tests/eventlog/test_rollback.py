"""An app's memory goes back: what is recorded, and what memory holds."""

from collections.abc import Callable

from eventlog.rollback_commit import commit
from schemas.control import TailRestored, TailVoided
from schemas.lane import CONTROL_PARTITION
from tests.eventlog.app import (
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
from tests.eventlog.rolling import (
    FENCE,
    ask,
    begin,
    controls,
    counting,
    fenced,
    go_back,
    go_forward,
    go_on,
    here,
    marks,
    ready,
)

MakeApp = Callable[..., App]


def test_memory_is_what_it_was_at_the_position_and_what_the_log_says(app: App) -> None:
    begin(app)
    lanes, before = here(app.ferry), app.memory()
    go_on(app)
    content, ring, untouched = app.accounts, app.rings["m"], app.accounts["c"]

    go_back(app.ferry, lanes)

    assert app.memory() == before
    assert app.accounts is content
    assert app.rings["m"] is ring
    assert app.accounts["c"] is untouched
    assert fold(counting(rows_of(app.path))) == before
    require_whole_lanes(rows_of(app.path))


def test_the_control_record_says_where_each_mark_is(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)
    heads = here(app.ferry)

    void = go_back(app.ferry, lanes)

    rows = rows_of(app.path)
    assert types_of(rows[-4:]) == ["memferry.tail.voided.v1"] + ["memferry.rolled_back.v1"] * 3
    assert [row.partition for row in rows[-4:]] == [CONTROL_PARTITION, 0, 1, 2]
    (_, _, voided), *_ = controls(rows[-4:])
    assert isinstance(voided, TailVoided)
    assert (voided.reason, voided.actor, voided.topic) == ("a test", "ann", "t")
    assert (voided.void.id, voided.void.source, voided.void.streams) == (void, "app-1", ())
    assert {p: (s.mark, s.after) for p, s in voided.void.lanes.items()} == marks(rows)
    for partition, (seq, after) in marks(rows).items():
        assert seq == (heads[partition].seq if partition in heads else 0) + 1
        assert after == (lanes[partition].seq if partition in lanes else 0)


def test_recording_goes_on_from_the_state_that_was_set(app: App, make_app: MakeApp) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)

    go_back(app.ferry, lanes)
    app.ferry.record_all([deposited("a", 1, 1), opened("d", owner="eve"), taken("m", 3)])

    assert app.accounts["d"].owner == "eve"
    assert [r.number for r in app.rings["m"]] == [1, 2, 3]
    before = app.memory()
    app.close()
    again = make_app()
    assert again.memory() == before
    assert fold(counting(rows_of(app.path))) == before


def test_only_named_streams_go_back(app: App) -> None:
    begin(app)
    lanes = here(app.ferry)
    go_on(app)

    go_back(app.ferry, lanes, "account/a", "reading/m")

    assert app.accounts == {"a": account("a"), "c": account("c"), "d": account("d", 1)}
    assert app.rings["m"] == readings("m", 1, 2)
    assert app.rings["n"] == readings("n", 1)
    assert fold(counting(rows_of(app.path)))["account"] == app.accounts


def test_what_is_recorded_between_preparing_and_fence_goes_back_too(app: App) -> None:
    begin(app)
    lanes, before = here(app.ferry), app.memory()
    app.ferry.record(deposited("a", 5, 5))
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    app.ferry.record(deposited("c", 2, 2))
    app.ferry.record_all([deposited("a", 1, 6), opened("new")])
    app.ferry.record_all([*(taken("m", n) for n in range(3, 9)), taken("n", 1), closed("b")])
    with fenced(app.ferry, question.void):
        commit(app.ferry, FENCE, question.void)

    assert app.memory() == before


def test_a_ring_gets_back_what_it_had_evicted(app: App) -> None:
    app.ferry.record_all([taken("m", n) for n in range(5)])
    lanes = here(app.ferry)
    app.ferry.record_all([taken("m", n) for n in range(5, 9)])

    assert ready(app.ferry, ask(app.ferry, lanes)).entities == 3
    go_back(app.ferry, lanes)

    assert app.rings["m"] == readings("m", 2, 3, 4)


def test_a_void_is_reversed(app: App, make_app: MakeApp) -> None:
    begin(app)
    lanes, early = here(app.ferry), app.memory()
    go_on(app)
    late = app.memory()
    void = go_back(app.ferry, lanes)

    go_forward(app.ferry, void)

    assert app.memory() == late
    assert app.memory() != early
    _, _, restored = controls(rows_of(app.path))[-4]
    assert isinstance(restored, TailRestored)
    assert restored.void == void
    app.close()
    assert make_app().memory() == late


def test_voids_stand_within_one_another(app: App, make_app: MakeApp) -> None:
    begin(app)
    first, early = here(app.ferry), app.memory()
    go_on(app)
    second, middle = here(app.ferry), app.memory()
    app.ferry.record_all([deposited("c", 9, 9), closed("a")])
    inner = go_back(app.ferry, second)
    assert app.memory() == middle
    app.ferry.record(deposited("c", 3, 3))

    outer = go_back(app.ferry, first)

    assert app.memory() == early
    go_forward(app.ferry, outer)
    assert app.accounts == middle["account"] | {"c": account("c", 3)}
    question = ask(app.ferry, void=inner, restore=True)
    assert ready(app.ferry, question).refused == ["account/c"]
    app.close()
    assert make_app().accounts == middle["account"] | {"c": account("c", 3)}
