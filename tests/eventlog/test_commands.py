"""The same command id twice: one event, one receipt, also after a restart and from many threads."""

import threading
from collections.abc import Callable

import pytest

from eventlog.commands import CommandDiffers, command_of
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.receipts import OutcomeUnknown, Receipt
from schemas import envelope
from schemas.envelope import Context
from tests.eventlog.app import (
    DEADLINE_S,
    App,
    BusyDisk,
    allow_commits,
    deposited,
    fold,
    opened,
    refuse_commits,
    require_whole_lanes,
    rows_of,
)

MakeApp = Callable[..., App]


def command(name: str) -> Context:
    return Context(commandid=name)


def said(receipt: Receipt) -> tuple[str, int, int, int, str]:
    return receipt.event_id, receipt.row, receipt.partition, receipt.seq, receipt.stream


def test_a_command_recorded_twice_is_one_event_with_one_receipt(app: App) -> None:
    app.ferry.record(opened("a"))
    first = app.ferry.record(deposited("a", 5, 5), context=command("c-1"))

    second = app.ferry.record(deposited("a", 5, 5), context=command("c-1"))

    assert second is first
    assert app.accounts["a"].balance == 5
    first.durable(DEADLINE_S)
    assert len(rows_of(app.path)) == 2


def test_a_command_is_known_again_after_a_restart_with_its_place_in_the_log(
    make_app: MakeApp,
) -> None:
    app = make_app()
    app.ferry.record(opened("a"))
    first = app.ferry.record(deposited("a", 5, 5), context=command("c-1"))
    first.durable(DEADLINE_S)
    app.close()
    again = make_app()

    second = again.ferry.record(deposited("a", 5, 5), context=command("c-1"))

    second.durable(0)
    assert said(second) == said(first)
    assert again.accounts["a"].balance == 5
    assert len(rows_of(app.path)) == 2
    again.ferry.record(deposited("a", 1, 6), context=command("c-2")).durable(DEADLINE_S)
    require_whole_lanes(rows_of(app.path))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_command_with_other_content_is_refused(make_app: MakeApp, restarted: bool) -> None:
    app = make_app()
    app.ferry.record(opened("a"), context=command("c-1")).durable(DEADLINE_S)
    if restarted:
        app.close()
        app = make_app()
    memory = app.memory()

    for events in ([opened("b")], [opened("a"), opened("b")], [opened("a", owner="bob")]):
        with pytest.raises(CommandDiffers, match="'c-1' was recorded before") as caught:
            app.ferry.record_all(events, context=command("c-1"))
        assert "stream account/a" in caught.value.where
        assert caught.value.remedy

    assert app.memory() == memory
    assert len(rows_of(app.path)) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_unit_is_a_command_too(make_app: MakeApp, restarted: bool) -> None:
    app = make_app()
    unit = [opened("a"), deposited("a", 1, 1), opened("b")]
    first = app.ferry.record_all(unit, context=command("c-1"))
    first[-1].durable(DEADLINE_S)
    if restarted:
        app.close()
        app = make_app()

    second = app.ferry.record_all(unit, context=command("c-1"))

    assert [said(receipt) for receipt in second] == [said(receipt) for receipt in first]
    assert len(rows_of(app.path)) == 3
    assert fold(rows_of(app.path))["account"] == app.accounts


def test_a_command_that_was_refused_may_be_tried_again(app: App) -> None:
    with pytest.raises(Exception, match="account"):
        app.ferry.record(deposited("a", 5, 5), context=command("c-1"))
    app.ferry.record(opened("a"))

    app.ferry.record(deposited("a", 5, 5), context=command("c-1")).durable(DEADLINE_S)

    assert app.accounts["a"].balance == 5


def test_a_command_whose_commit_failed_is_as_unknown_the_second_time(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    refuse_commits(app.path)
    first = app.ferry.record(deposited("a", 5, 5), context=command("c-1"))
    with pytest.raises(OutcomeUnknown):
        first.durable(DEADLINE_S)

    with pytest.raises(OutcomeUnknown):
        app.ferry.record(deposited("a", 5, 5), context=command("c-1")).durable(DEADLINE_S)

    app.close()
    allow_commits(app.path)
    again = make_app()
    assert again.accounts["a"].balance == 0
    again.ferry.record(deposited("a", 5, 5), context=command("c-1")).durable(DEADLINE_S)
    assert again.accounts["a"].balance == 5


def test_doubles_from_many_threads_are_one_event(app: App) -> None:
    app.ferry.record(opened("a"))
    ready = threading.Barrier(8)
    receipts: list[Receipt] = []

    def record() -> None:
        ready.wait()
        receipts.extend(
            app.ferry.record(deposited("a", 1, number + 1), context=command(f"c-{number}"))
            for number in range(20)
        )

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert len(receipts) == 160
    assert len({receipt.event_id for receipt in receipts}) == 20
    assert app.accounts["a"].balance == 20
    app.close()
    assert len(rows_of(app.path)) == 21


def test_what_is_not_durable_is_remembered_whatever_the_bound(app: App) -> None:
    app.ferry._commands._limit = 3

    with BusyDisk(app.path):
        first = [app.ferry.record(opened(str(n)), context=command(str(n))) for n in range(10)]
        second = [app.ferry.record(opened(str(n)), context=command(str(n))) for n in range(10)]
    second[-1].durable(DEADLINE_S)

    assert [receipt.row for receipt in second] == [receipt.row for receipt in first]
    assert len(rows_of(app.path)) == 10


def test_memory_of_commands_is_bounded_and_older_ones_are_found_in_the_outbox(app: App) -> None:
    app.ferry._commands._limit = 3
    first = []
    for number in range(20):
        first.append(app.ferry.record(opened(str(number)), context=command(str(number))))
        first[-1].durable(DEADLINE_S)
    assert len(app.ferry._commands._recent) == 3

    second = [app.ferry.record(opened(str(n)), context=command(str(n))) for n in range(20)]

    assert [said(receipt) for receipt in second] == [said(receipt) for receipt in first]
    assert len(rows_of(app.path)) == 20


def test_an_outbox_that_never_had_a_command_is_not_asked(app: App) -> None:
    assert isinstance(app.ferry._outbox, SqliteOutbox)

    app.ferry.record(opened("a"), context=command("c-1")).durable(DEADLINE_S)

    assert app.ferry._outbox._index._db is None


def test_what_a_command_is_depends_on_where_one_event_ends(app: App) -> None:
    one = command_of(command("c"), [("t", b"ab"), ("t", b"c")])
    other = command_of(command("c"), [("t", b"a"), ("t", b"bc")])
    assert one is not None
    assert other is not None

    assert one.content != other.content
    assert command_of(None, [("t", b"a")]) is None
    assert command_of(Context(), [("t", b"a")]) is None


def test_a_command_is_in_its_events_envelopes(app: App) -> None:
    app.ferry.record_all([opened("a"), opened("b")], context=command("c-1"))[0].durable(DEADLINE_S)

    assert {envelope.decode(row.event).commandid for row in rows_of(app.path)} == {"c-1"}
