"""The first snapshot, taken while the app trades."""

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from eventlog.entry import EventTooLarge
from eventlog.snapshot import CHUNK_STREAMS
from schemas import envelope
from schemas.control import SnapshotCompleted, decode_control
from tests.eventlog.app import (
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
from tests.eventlog.recorded.making import Book

MakeApp = Callable[..., App]


def completed(app: App) -> list[SnapshotCompleted]:
    found = [envelope.decode(row.event) for row in rows_of(app.path)]
    control = [decode_control(e.type, e.data) for e in found if e.type.startswith("memferry.")]
    return [event for event in control if isinstance(event, SnapshotCompleted)]


def finish(app: App) -> None:
    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    app.close()


def test_everything_that_was_in_memory_is_in_the_log(make_app: MakeApp) -> None:
    accounts = {str(n): account(str(n), n) for n in range(3 * CHUNK_STREAMS + 1)}
    rings = {f"m{n}": readings(f"m{n}", *range(n % 4)) for n in range(CHUNK_STREAMS)}
    app = make_app(accounts=accounts, rings=rings)
    before = app.memory()

    finish(app)

    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert app.memory() == before == fold(rows)
    streams = len(accounts) + sum(1 for ring in rings.values() if ring)
    assert completed(app) == [SnapshotCompleted("app-1", streams, len(rows) - 1)]
    assert app.ferry.snapshot_progress == (streams, streams)
    assert app.ferry.snapshot_error is None


def test_an_empty_memory_is_a_snapshot_too(make_app: MakeApp) -> None:
    app = make_app()

    finish(app)

    assert completed(app) == [SnapshotCompleted("app-1", 0, 0)]


def test_a_second_call_does_not_begin_again(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a")})

    app.ferry.snapshot()
    finish(app)

    assert len(completed(app)) == 1
    assert len(rows_of(app.path)) == 2


def test_what_was_recorded_before_the_snapshot_is_not_recorded_again(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a"), "b": account("b")})
    app.ferry.record_all([deposited("a", 1, 1), opened("c"), taken("m", 1), taken("m", 2)])

    finish(app)

    rows = rows_of(app.path)
    assert sorted(types_of(rows)) == [
        "ledger.account.deposited.v1",
        "ledger.account.opened.v1",
        "ledger.account.snapshotted.v1",
        "ledger.account.snapshotted.v1",
        "ledger.reading.taken.v1",
        "ledger.reading.taken.v1",
        "memferry.source.snapshot_completed.v1",
    ]
    assert fold(rows) == app.memory()


def test_what_began_and_ended_before_the_snapshot_stays_ended(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record_all([opened("a"), closed("a"), opened("b")])

    finish(app)

    assert fold(rows_of(app.path))["account"] == {"b": account("b")}
    assert types_of(rows_of(app.path)).count("ledger.account.snapshotted.v1") == 0


def test_no_old_state_is_written_after_a_newer_one(make_app: MakeApp) -> None:
    count, threads_count = 2_000, 3
    names = [str(number) for number in range(count)]
    rings = {f"m{n}": readings(f"m{n}", 1, 2) for n in range(100)}
    app = make_app(accounts={name: account(name) for name in names}, rings=rings)
    go = threading.Barrier(threads_count + 1)

    def record(who: int) -> None:
        mine = names[who::threads_count]
        go.wait(DEADLINE_S)
        # From the end, so that the recording and the snapshot meet somewhere in the middle.
        for name in reversed(mine):
            app.ferry.record(deposited(name, 1, 1))
            if int(name) % 5 == 0:
                app.ferry.record_all([deposited(name, 1, 2), opened(f"new-{name}")])
            if int(name) % 7 == 0:
                app.ferry.record(closed(name))
        for meter in list(rings)[who::threads_count]:
            app.ferry.record(taken(meter, 3))
            app.ferry.record(taken(meter, 4))

    threads = [threading.Thread(target=record, args=(who,)) for who in range(threads_count)]
    for thread in threads:
        thread.start()
    go.wait(DEADLINE_S)
    app.ferry.snapshot()
    for thread in threads:
        thread.join(DEADLINE_S)
    finish(app)

    rows = rows_of(app.path)
    require_whole_lanes(rows)
    folded = fold(rows)
    assert folded["account"] == app.accounts
    assert app.memory()["reading"].items() <= folded["reading"].items()
    snapshots = [row.stream for row in rows if b".account.snapshotted." in row.event]
    assert sorted(snapshots) == sorted(f"account/{name}" for name in names)
    firsts = {row.stream: types_of([row])[0] for row in reversed(rows)}
    assert all(firsts[f"account/{name}"].endswith("snapshotted.v1") for name in names)


def test_a_snapshot_that_was_cut_short_is_finished_by_the_next_run(make_app: MakeApp) -> None:
    accounts = {str(n): account(str(n), n) for n in range(10)}
    app = make_app(accounts=dict(accounts), rings={"m": readings("m", 1)})
    app.ferry.record_snapshot("account", [f"account/{n}" for n in range(4)])
    app.close()

    again = make_app(accounts=dict(accounts), rings={"m": readings("m", 1)})
    assert again.memory() == app.memory()
    finish(again)

    rows = rows_of(app.path)
    assert fold(rows) == again.memory()
    assert len([row for row in rows if b".snapshotted." in row.event]) == 11
    assert completed(again) == [SnapshotCompleted("app-1", 7, 7)]


def test_an_entity_that_may_not_reach_the_log_stops_the_snapshot_and_is_named(
    make_app: MakeApp,
) -> None:
    large = msgspec.structs.replace(account("large"), owner="o" * 5_000)
    app = make_app(accounts={"a": account("a"), "large": large}, max_event_bytes=2_000)

    app.ferry.snapshot()

    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    assert isinstance(app.ferry.snapshot_error, EventTooLarge)
    assert "account/large" in app.ferry.snapshot_error.where
    assert completed(app) == []


def test_a_snapshot_carries_money_as_it_is(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a", Decimal("0.000000000000000001"))})

    finish(app)

    assert fold(rows_of(app.path))["account"] == app.accounts


def test_what_was_registered_behind_a_snapshot_is_recorded_by_the_one_a_migration_asks_for(
    tmp_path: Path,
) -> None:
    book = Book(tmp_path / "book.db")
    snapshot = book.ferry.first_snapshot
    book.ferry.dict("early", int, content={"a": 1, "b": 2})
    book.ferry.snapshot()
    assert snapshot.done.wait(DEADLINE_S)
    book.ferry.dict("late", int, content={"z": 3})

    recorded = []
    for _ in range(2):
        snapshot.complete()
        assert snapshot.done.wait(DEADLINE_S)
        recorded.append(snapshot.streams)
    book.close()

    found = [envelope.decode(row.event) for row in rows_of(book.path)]
    assert recorded == [1, 0]
    assert sum(one.type == "app.late.stated.v1" for one in found) == 1
    assert sum(one.type == "memferry.source.snapshot_completed.v1" for one in found) == 2
