"""A second snapshot: what memory holds otherwise than the log is recorded, and nothing else."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest

from eventlog.changed import LogNotHere, StateNotRecordable, changed
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.shim import Ferry
from schemas.derived.kind import derive_kind
from schemas.domain import Domain
from schemas.settings import Outbox, Settings
from tests.domains.ledger import Reading
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    App,
    account,
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


def snapshot(ferry: Ferry) -> None:
    """Take one, to its end."""
    ferry.snapshot()
    assert ferry.snapshot_done.wait(DEADLINE_S)


@pytest.fixture
def app(make_app: MakeApp) -> App:
    """Ten accounts and a window, recorded by a first snapshot."""
    app = make_app(
        accounts={str(n): account(str(n), n) for n in range(10)},
        rings={"m": readings("m", 1, 2)},
    )
    snapshot(app.ferry)
    return app


def recorded_by(app: App) -> list[str]:
    """Take another snapshot; return the streams of what it recorded."""
    app.ferry.flush(DEADLINE_S)
    before = len(rows_of(app.path))
    snapshot(app.ferry)
    app.ferry.flush(DEADLINE_S)
    return [row.stream for row in rows_of(app.path)[before:] if row.partition >= 0]


def test_where_nothing_changed_nothing_is_recorded(app: App) -> None:
    rows = len(rows_of(app.path))

    assert recorded_by(app) == []
    assert len(rows_of(app.path)) == rows


def test_only_what_changed_behind_the_logs_back_is_recorded(app: App) -> None:
    app.accounts["3"] = account("3", 33)
    app.accounts["new"] = account("new")
    app.ferry.record(deposited("5", 1, 6))

    assert sorted(recorded_by(app)) == ["account/3", "account/new"]
    assert recorded_by(app) == []
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert fold(rows)["account"] == app.accounts
    assert app.ferry.snapshot_error is None


def test_after_a_snapshot_that_stopped_the_rest_is_recorded_once(make_app: MakeApp) -> None:
    large = msgspec.structs.replace(account("large"), owner="o" * 5_000)
    app = make_app(accounts={"a": account("a"), "large": large}, max_event_bytes=2_000)
    snapshot(app.ferry)
    stopped = app.ferry.snapshot_error
    app.accounts |= {"a": account("a", 1), "large": account("large")}

    assert stopped is not None
    assert sorted(recorded_by(app)) == ["account/a", "account/large"]
    assert app.ferry.snapshot_error is None


def test_a_restarted_apps_changes_are_found_by_its_second_snapshot(
    app: App, make_app: MakeApp
) -> None:
    app.close()
    again = make_app()
    snapshot(again.ferry)
    again.accounts["7"] = account("7", 77)

    assert recorded_by(again) == ["account/7"]


def test_the_log_is_compared_in_shares_of_a_bounded_size(app: App) -> None:
    for number in (1, 4, 8):
        app.accounts[str(number)] = account(str(number), 100)
    store = app.ferry.stores()["account"]
    reader = SqliteOutboxReader(app.path)

    found = list(changed(store, store.copy(), reader, reader.last_row(), bucket_entities=3))

    reader.close()
    assert len(found) == 4
    assert sorted(one.key for bucket in found for one in bucket) == ["1", "4", "8"]


def test_what_was_recorded_after_the_copy_is_no_change(app: App) -> None:
    store = app.ferry.stores()["account"]
    app.ferry.flush(DEADLINE_S)
    copy, row = store.copy(), app.ferry.recorded_position()
    app.ferry.record(deposited("5", 1, 6)).durable(DEADLINE_S)
    reader = SqliteOutboxReader(app.path)

    found = list(changed(store, copy, reader, row))

    reader.close()
    assert found == [[]]


def test_a_window_that_evicted_is_as_the_log_says(app: App) -> None:
    app.ferry.record_all([taken("m", number) for number in range(3, 9)])

    assert recorded_by(app) == []
    assert [reading.number for reading in app.rings["m"]] == [6, 7, 8]


def test_a_kind_that_takes_no_state_over_another_is_named_and_nothing_is_recorded(
    app: App,
) -> None:
    app.rings["m"][0] = Reading("m", 1, Decimal(99))

    assert recorded_by(app) == []
    error = app.ferry.snapshot_error
    assert isinstance(error, StateNotRecordable)
    assert "reading ('m', 1)" in error.where


def test_an_entity_that_went_without_its_event_is_named_after_the_rest_was_recorded(
    app: App,
) -> None:
    del app.accounts["2"]
    app.accounts["9"] = account("9", 99)

    assert recorded_by(app) == ["account/9"]
    error = app.ferry.snapshot_error
    assert isinstance(error, StateNotRecordable)
    assert "1 entities are gone from memory" in error.what
    assert "account 2" in error.what


def test_a_pruned_outbox_cannot_be_compared_with(app: App) -> None:
    app.ferry.record_all([deposited("1", 1, 2), deposited("2", 1, 3)]).pop().durable(DEADLINE_S)
    app.close()
    outbox = SqliteOutbox(app.path, IDENTITY)
    outbox._db.execute("DELETE FROM event WHERE row <= 3")
    outbox.close()
    reader = SqliteOutboxReader(app.path)
    store = app.ferry.stores()["account"]

    with pytest.raises(LogNotHere, match="was pruned"):
        list(changed(store, store.copy(), reader, reader.last_row()))

    reader.close()


def test_no_old_state_is_written_after_a_newer_one(app: App) -> None:
    names = [f"n{number}" for number in range(200)]
    app.ferry.record_all([opened(name) for name in names])
    for name in names:
        app.accounts[name] = msgspec.structs.replace(app.accounts[name], owner="eve")
    go, ended = threading.Barrier(2), threading.Event()

    def record() -> None:
        go.wait(DEADLINE_S)
        while not ended.is_set():
            for name in names:
                app.ferry.record(deposited(name, 1, app.accounts[name].balance + 1))

    writer = threading.Thread(target=record)
    writer.start()
    go.wait(DEADLINE_S)
    snapshot(app.ferry)
    ended.set()
    writer.join(DEADLINE_S)
    app.close()

    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert app.ferry.snapshot_error is None
    assert {account.owner for account in app.accounts.values()} >= {"eve"}
    assert fold(rows)["account"] == app.accounts


@dataclass
class Balance:
    """Of a foreign app: changed in place, without any event."""

    currency: str
    available: Decimal


def test_entities_that_are_changed_in_place_are_recorded_and_ended_ones_end(
    app: App,
) -> None:
    kind = derive_kind("balance", Balance, key=("currency",))
    path = app.path.with_name("balances.db")
    settings = Settings(source="app-1", topic="t", outbox=Outbox(path=str(path)))
    balances = {name: Balance(name, Decimal(1)) for name in ("EUR", "USD", "BTC")}
    ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), Domain("d", (kind,), ""))
    ferry.register("balance", balances)
    snapshot(ferry)
    balances["EUR"].available += 1
    del balances["BTC"]

    snapshot(ferry)
    ferry.close(DEADLINE_S)

    rows = [row for row in rows_of(path) if row.partition >= 0]
    assert [row.stream for row in rows[3:]] == ["balance/EUR", "balance/BTC"]
    assert types_of(rows[3:])[1] == list(kind.events)[-1]
    assert b'"available":"2"' in rows[3].event
