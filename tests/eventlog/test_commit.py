"""Group commit: whole units, bounded queue, and nothing acknowledged after a failure."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventlog.commit import GroupCommit
from eventlog.entry import FerryClosed
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.receipts import OutcomeUnknown, ReceiptTimeout, Watermark
from schemas import envelope
from schemas.errors import FerryError
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
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
from tests.eventlog.outbox.appender import Item

MakeApp = Callable[..., App]
UNIT = 7


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_waits_for_the_disk_shares_the_next_commit(app: App) -> None:
    reader = SqliteOutboxReader(app.path)
    with BusyDisk(app.path):
        receipts = [app.ferry.record(opened(str(number))) for number in range(100)]
        assert app.ferry.stats()["queue_depth"] == 100
        before = reader.changed()

    for receipt in receipts:
        receipt.durable(DEADLINE_S)

    assert reader.changed() - before <= 2
    assert [receipt.row for receipt in receipts] == list(range(1, 101))
    assert app.ferry.stats()["queue_depth"] == 0
    reader.close()


def test_a_unit_is_never_seen_in_part(app: App) -> None:
    reader = SqliteOutboxReader(app.path)
    seen: list[int] = []

    def record() -> None:
        for number in range(150):
            unit = app.ferry.record_all([opened(f"{number}-{part}") for part in range(UNIT)])
            if number % 3 == 0:
                unit[number % UNIT].durable(DEADLINE_S)

    threads = [in_thread(record)]
    while threads[0].is_alive() or not seen or seen[-1] < 150 * UNIT:
        seen.append(reader.last_row())

    assert [row for row in seen if row % UNIT] == []
    assert len(set(seen)) > 5
    reader.close()


def test_close_commits_what_is_queued(make_app: MakeApp) -> None:
    app = make_app()
    with BusyDisk(app.path):
        receipts = [app.ferry.record(opened(str(number))) for number in range(50)]
        closing = in_thread(app.close)
        closing.join(0.05)
        assert closing.is_alive()

    closing.join(DEADLINE_S)

    assert not closing.is_alive()
    for receipt in receipts:
        receipt.durable(0)
    assert len(rows_of(app.path)) == 50


def test_a_close_that_the_disk_holds_up_says_so(app: App) -> None:
    with BusyDisk(app.path):
        app.ferry.record(opened("a"))

        with pytest.raises(FerryClosed, match=r"did not commit within 0\.05 s") as caught:
            app.ferry.close(0.05)

        assert caught.value.remedy
    app.close()
    assert len(rows_of(app.path)) == 1


def test_a_full_queue_blocks_its_callers_until_the_disk_goes_on(make_app: MakeApp) -> None:
    app = make_app(queue_events=10)
    reached: list[int] = []

    def record() -> None:
        for number in range(60):
            app.ferry.record(opened(str(number)))
            reached.append(number)

    with BusyDisk(app.path):
        recording = in_thread(record)
        recording.join(0.3)
        assert recording.is_alive()
        assert 10 <= len(reached) <= 20
        assert app.ferry.stats()["queue_depth"] == len(reached)

    recording.join(DEADLINE_S)

    assert reached == list(range(60))
    app.close()
    assert len(rows_of(app.path)) == 60


@pytest.fixture
def switch_threads_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_caller_who_finds_the_queue_full_is_always_woken(
    make_app: MakeApp, switch_threads_often: None
) -> None:
    app = make_app(queue_events=1)

    def record() -> None:
        for number in range(1_000):
            app.ferry.record(opened(str(number)))

    recording = in_thread(record)
    recording.join(DEADLINE_S)

    assert not recording.is_alive()
    assert app.ferry.stats()["events_recorded"] == 1_000


def test_many_callers_share_one_full_queue(make_app: MakeApp, switch_threads_often: None) -> None:
    app = make_app(queue_events=2)
    names = [[f"{who}-{number}" for number in range(60)] for who in range(8)]

    threads = [in_thread(lambda mine=mine: [app.ferry.record(opened(n)) for n in mine])  # type: ignore[misc]
               for mine in names]  # fmt: skip
    for thread in threads:
        thread.join(DEADLINE_S)

    assert not any(thread.is_alive() for thread in threads)
    app.close()
    assert sorted(app.accounts) == sorted(name for mine in names for name in mine)
    require_whole_lanes(rows_of(app.path))


def test_a_commit_that_fails_halts_and_acknowledges_nothing_more(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    refuse_commits(app.path)

    pending = [app.ferry.record(deposited("a", 1, number + 1)) for number in range(3)]

    for receipt in pending:
        with pytest.raises(OutcomeUnknown, match="the disk is gone") as caught:
            receipt.durable(DEADLINE_S)
    assert caught.value.where.startswith("rows 2 to ")
    assert "restart the app" in caught.value.remedy
    memory = app.memory()
    for attempt in (
        lambda: app.ferry.record(opened("b")),
        lambda: app.ferry.record_all([opened("b")]),
        lambda: app.ferry.place_barrier("b", "audit"),
    ):
        with pytest.raises(OutcomeUnknown):
            attempt()
    assert app.memory() == memory


async def test_a_commit_that_fails_ends_every_wait_in_asyncio(app: App) -> None:
    refuse_commits(app.path)

    receipts = [app.ferry.record(opened(str(number))) for number in range(3)]

    for receipt in receipts:
        with pytest.raises(OutcomeUnknown):
            await receipt.until_durable(DEADLINE_S)


def test_a_commit_that_fails_ends_the_wait_for_room(make_app: MakeApp) -> None:
    app = make_app(queue_events=2)
    refuse_commits(app.path)
    refused: list[FerryError] = []

    def record() -> None:
        try:
            for number in range(100):
                app.ferry.record(opened(str(number)))
        except FerryError as error:
            refused.append(error)

    recording = in_thread(record)
    recording.join(DEADLINE_S)

    assert [type(error) for error in refused] == [OutcomeUnknown]
    assert rows_of(app.path) == []


def test_after_a_failure_a_restart_brings_back_what_is_durable(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    durable = app.memory()
    refuse_commits(app.path)
    with pytest.raises(OutcomeUnknown):
        app.ferry.record(deposited("a", 5, 5)).durable(DEADLINE_S)
    app.close()
    allow_commits(app.path)

    again = make_app()

    assert again.memory() == durable
    again.ferry.record(deposited("a", 1, 1)).durable(DEADLINE_S)
    require_whole_lanes(rows_of(app.path))


def test_the_outbox_is_free_again_after_a_failure_and_a_close(make_app: MakeApp) -> None:
    app = make_app()
    refuse_commits(app.path)
    with pytest.raises(OutcomeUnknown):
        app.ferry.record(opened("a")).durable(DEADLINE_S)

    app.close()

    SqliteOutbox(app.path, IDENTITY).close()


def test_rows_go_on_from_the_outboxs_last(tmp_path: Path) -> None:
    for expected in (1, 2):
        durable = Watermark()
        outbox = SqliteOutbox(tmp_path / "outbox.db", IDENTITY)
        commit = GroupCommit(outbox, durable, 10, lambda error: None)
        item = Item(0, "account/a", "x")

        commit.put([item])

        assert durable.wait(expected, DEADLINE_S)
        assert (item.row, item.seq, commit.last_row, commit.depth) == (
            expected,
            expected,
            expected,
            0,
        )
        assert commit.close(DEADLINE_S)
        outbox.close()


def test_units_share_an_id_and_single_events_have_none(app: App) -> None:
    app.ferry.record(opened("a"))
    app.ferry.record_all([opened("b"), opened("c")])
    app.ferry.record_all([opened("d")]).pop().durable(DEADLINE_S)

    units = [envelope.decode(row.event).unit for row in rows_of(app.path)]

    assert units[0] is None
    assert units[1] == units[2] != units[3]
    assert len(set(units)) == 3
    assert fold(rows_of(app.path))["account"] == app.accounts


def test_a_receipt_of_a_busy_disk_is_late_and_not_lost(app: App) -> None:
    with BusyDisk(app.path):
        receipt = app.ferry.record(opened("a"))
        with pytest.raises(ReceiptTimeout):
            receipt.durable(0.01)

    receipt.durable(DEADLINE_S)
