"""An outbox that is full, or whose disk nearly is: refused or held up before memory changes."""

import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from eventlog.entry import FerryClosed
from eventlog.limits import DiskReserveUsed, OutboxFull
from schemas.errors import FerryError, SettingsInvalid
from schemas.settings import Outbox
from tests.eventlog.app import DEADLINE_S, App, opened, require_whole_lanes, rows_of

MakeApp = Callable[..., App]
LIMIT = 120_000
ENDLESS = 1 << 62


def fill(app: App) -> int:
    """Record until the outbox is full; return how many accounts there are then."""
    for number in range(10_000):
        try:
            app.ferry.record(opened(str(number))).durable(DEADLINE_S)
        except OutboxFull:
            return number
    raise AssertionError("the outbox is never full")


def empty(path: Path) -> None:
    """Take the events out of the file, as pruning would."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(5_000)
    db.execute("DELETE FROM event")
    db.close()


def test_a_full_outbox_refuses_and_memory_has_not_changed(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(max_bytes=LIMIT))
    count = fill(app)
    memory = app.memory()

    for attempt in (
        lambda: app.ferry.record(opened("one more")),
        lambda: app.ferry.record_all([opened("one more")]),
        lambda: app.ferry.record_snapshot("account", ["account/one more"]),
    ):
        with pytest.raises(OutboxFull, match=f"its limit is {LIMIT}") as caught:
            attempt()
        assert caught.value.where == str(app.path)
        assert "outbox.max_bytes" in caught.value.remedy

    assert app.memory() == memory
    assert count > 50
    app.close()
    assert len(rows_of(app.path)) == count
    assert LIMIT <= app.path.stat().st_size < 2 * LIMIT


def test_a_barrier_passes_where_nothing_else_may_be_recorded(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(max_bytes=LIMIT))
    count = fill(app)

    app.ferry.place_barrier("b", "audit").receipts[-1].durable(DEADLINE_S)

    app.close()
    assert len(rows_of(app.path)) == count + 3


def test_a_full_outbox_is_full_after_a_restart_until_its_limit_is_raised(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(max_bytes=LIMIT))
    fill(app)
    app.close()
    again = make_app(options=Outbox(max_bytes=LIMIT))
    with pytest.raises(OutboxFull):
        again.ferry.record(opened("one more"))
    again.close()

    raised = make_app(options=Outbox(max_bytes=2 * LIMIT))

    raised.ferry.record(opened("one more")).durable(DEADLINE_S)
    require_whole_lanes(rows_of(app.path))


def test_recording_waits_for_room_where_it_is_told_to(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(max_bytes=LIMIT))
    count = fill(app)
    app.close()
    app = make_app(options=Outbox(max_bytes=LIMIT, when_full="block", prune="applied"))
    recording = threading.Thread(target=lambda: app.ferry.record(opened("one more")), daemon=True)
    recording.start()
    recording.join(0.05)
    assert recording.is_alive()
    assert len(app.accounts) == count

    empty(app.path)

    recording.join(DEADLINE_S)
    assert not recording.is_alive()
    assert "one more" in app.accounts


def test_whoever_waits_for_room_is_told_when_the_shim_closes(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(max_bytes=1, when_full="block", prune="applied"))
    refused: list[FerryError] = []

    def record() -> None:
        try:
            app.ferry.record(opened("a"))
        except FerryError as error:
            refused.append(error)

    recording = threading.Thread(target=record, daemon=True)
    recording.start()
    recording.join(0.05)
    assert recording.is_alive()

    app.close()

    recording.join(DEADLINE_S)
    assert [type(error) for error in refused] == [FerryClosed]
    assert app.accounts == {}


@pytest.mark.parametrize("when_full", ["refuse", "block"])
def test_the_disks_reserve_is_refused_beforehand(make_app: MakeApp, when_full: str) -> None:
    app = make_app(options=Outbox(disk_reserve_bytes=ENDLESS, when_full=when_full))  # type: ignore[arg-type]

    with pytest.raises(DiskReserveUsed, match="kept in reserve") as caught:
        app.ferry.record(opened("a"))

    assert caught.value.where == str(app.path)
    assert "outbox.disk_reserve_bytes" in caught.value.remedy
    assert app.accounts == {}
    app.ferry.place_barrier("b", "audit").receipts[-1].durable(DEADLINE_S)


def test_without_a_limit_nothing_is_looked_at(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(disk_reserve_bytes=0))

    app.ferry.record(opened("a")).durable(DEADLINE_S)

    assert app.ferry._commit._limits._next_look == 0


def test_blocking_where_nothing_ever_makes_room_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(SettingsInvalid, match="would block for ever") as caught:
        make_app(options=Outbox(max_bytes=LIMIT, when_full="block"))

    assert "outbox.prune" in caught.value.remedy
