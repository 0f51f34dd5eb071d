"""Written through: memory changes behind the fsync, and not at all where that fails."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eventlog.receipts import OutcomeUnknown
from schemas.envelope import Context
from schemas.settings import Outbox
from tests.eventlog.app import (
    DEADLINE_S,
    App,
    BusyDisk,
    deposited,
    fold,
    opened,
    refuse_commits,
    require_whole_lanes,
    rows_of,
)
from tests.projector.waiting import until

MakeApp = Callable[..., App]
THROUGH = Outbox(write_through=True)


def streams(path: Path) -> list[str]:
    return [row.stream for row in rows_of(path)]


def test_what_is_recorded_is_durable_when_the_call_returns(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)

    receipt = app.ferry.record(opened("a"))
    unit = app.ferry.record_all([opened("b"), deposited("a", 1, 1)])

    for one in (receipt, *unit):
        one.durable(0)
    assert streams(app.path) == ["account/a", "account/b", "account/a"]
    assert fold(rows_of(app.path))["account"] == app.accounts


def test_memory_has_not_changed_while_the_disk_is_busy(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)
    recording = threading.Thread(target=lambda: app.ferry.record(opened("a")), daemon=True)
    with BusyDisk(app.path):
        recording.start()
        until(lambda: app.ferry.stats()["queue_depth"] == 1, "the event is queued")
        assert app.accounts == {}

    recording.join(DEADLINE_S)

    assert list(app.accounts) == ["a"]
    assert streams(app.path) == ["account/a"]


@pytest.mark.parametrize("unit", [False, True])
def test_a_commit_that_fails_leaves_memory_as_it_was(make_app: MakeApp, unit: bool) -> None:
    app = make_app(options=THROUGH)
    app.ferry.record(opened("a"))
    memory = app.memory()
    refuse_commits(app.path)

    with pytest.raises(OutcomeUnknown, match="the disk is gone"):
        if unit:
            app.ferry.record_all([opened("b"), deposited("a", 1, 1)])
        else:
            app.ferry.record(deposited("a", 1, 1))

    assert app.memory() == memory
    with pytest.raises(OutcomeUnknown):
        app.ferry.record(opened("c"))
    assert app.memory() == memory


def test_a_unit_of_nothing_waits_for_nothing(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)

    assert app.ferry.record_all([]) == []


def test_a_command_is_written_through_once(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)
    first = app.ferry.record(opened("a"), context=Context(commandid="c-1"))

    assert app.ferry.record(opened("a"), context=Context(commandid="c-1")) is first

    assert streams(app.path) == ["account/a"]


def test_many_threads_write_through_in_one_order(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)

    def record(who: int) -> None:
        for number in range(30):
            app.ferry.record(opened(f"{who}-{number}")).durable(0)

    threads = [threading.Thread(target=record, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert len(app.accounts) == 120
    require_whole_lanes(rows_of(app.path))
    assert fold(rows_of(app.path))["account"] == app.accounts


async def test_an_asyncio_app_writes_through_too(make_app: MakeApp) -> None:
    app = make_app(options=THROUGH)

    receipt = app.ferry.record(opened("a"))

    await receipt.until_durable(0)
    assert streams(app.path) == ["account/a"]
