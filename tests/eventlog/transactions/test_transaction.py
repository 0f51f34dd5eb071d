"""Events recorded in the app's own transaction: memory follows its commit, and nothing else."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from eventlog.callers import OutboxElsewhere
from eventlog.entry import EventTypeUnknown
from eventlog.outbox.contract import OutboxRow
from eventlog.transaction import TransactionBlocked, TransactionUnfit
from schemas import envelope
from schemas.domain import TransitionRefused
from schemas.envelope import Context
from schemas.validity import EventInvalid
from tests.domains.ledger import AccountOpened
from tests.eventlog.app import (
    AT,
    DEADLINE_S,
    App,
    account,
    closed,
    deposited,
    opened,
    readings,
    require_whole_lanes,
    taken,
    types_of,
)
from tests.eventlog.transactions.desk import Desk

SHORT_S = 0.05


def streams(rows: list[OutboxRow]) -> list[str]:
    return [row.stream for row in rows]


def whole(desk: Desk) -> list[OutboxRow]:
    """Return the durable rows; lanes are whole, and memory is what they say."""
    rows = desk.rows()
    require_whole_lanes(rows, desk.ferry.identity)
    assert desk.logged() == desk.memory()
    return rows


def test_rows_events_and_memory_are_there_with_the_commit(desk: Desk) -> None:
    with desk.ferry.transaction(desk.conn) as changes:
        desk.order(desk.conn, "a")
        changes.record(opened("a"))
        changes.record(deposited("a", 5, 5))
        changes.record(taken("m", 1))

        assert (desk.accounts, changes.receipts, desk.rows()) == ({}, [], [])

    assert desk.accounts == {"a": account("a", 5)}
    assert desk.ordered() == {"a"}
    rows = whole(desk)
    assert streams(rows) == ["account/a", "account/a", "reading/m"]
    assert [(r.row, r.seq) for r in changes.receipts] == [(r.row, r.seq) for r in rows]
    assert len({envelope.decode(row.event).unit for row in rows}) == 1
    for receipt in changes.receipts:
        receipt.durable(0)
    desk.ferry.record(deposited("a", 1, 6)).durable(DEADLINE_S)
    assert len(whole(desk)) == 4


@pytest.mark.parametrize("error", [RuntimeError, psycopg.Rollback])
def test_a_rollback_leaves_memory_and_outbox_untouched(desk: Desk, error: Any) -> None:
    desk.ferry.record(opened("before")).durable(DEADLINE_S)
    ended = None

    try:
        with desk.ferry.transaction(desk.conn) as changes:
            desk.order(desk.conn, "a")
            changes.record(opened("a"))
            changes.record(deposited("before", 5, 5))
            raise error
    except RuntimeError as raised:
        ended = raised

    assert (ended is None) == (error is psycopg.Rollback)
    assert desk.accounts == {"before": account("before")}
    assert (desk.ordered(), changes.receipts) == (set(), [])
    assert streams(whole(desk)) == ["account/before"]
    desk.ferry.record(deposited("before", 1, 1)).durable(DEADLINE_S)
    assert [row.row for row in whole(desk)] == [1, 2]


def test_a_commit_that_the_database_refuses_leaves_memory_untouched(desk: Desk) -> None:
    with desk.ferry.transaction(desk.conn) as changes:
        desk.order(desk.conn, "a")
        changes.record(opened("a"))

    with (
        pytest.raises(psycopg.errors.UniqueViolation),
        desk.ferry.transaction(desk.conn) as changes,
    ):
        desk.order(desk.conn, "a")  # found at the commit: the key is deferred
        changes.record(deposited("a", 5, 5))

    assert desk.accounts == {"a": account("a")}
    assert len(whole(desk)) == 1
    desk.ferry.record(deposited("a", 1, 1)).durable(DEADLINE_S)
    assert len(whole(desk)) == 2


def test_two_that_commit_in_the_other_order_are_numbered_in_the_order_of_their_commits(
    desk: Desk,
) -> None:
    first, second = desk.ferry.transaction(desk.conn), desk.ferry.transaction(desk.connect())
    began_first, began_second = first.__enter__(), second.__enter__()
    began_first.record(opened("a"))
    began_first.record(opened("b"))
    began_second.record(opened("c"))
    desk.ferry.record(opened("d"))

    second.__exit__(None, None, None)
    assert set(desk.accounts) == {"c", "d"}
    first.__exit__(None, None, None)

    assert streams(whole(desk)) == ["account/d", "account/c", "account/a", "account/b"]
    assert [r.row for r in began_second.receipts + began_first.receipts] == [2, 3, 4]


def test_what_others_recorded_meanwhile_is_what_the_events_follow(desk: Desk) -> None:
    desk.ferry.record(opened("a"))
    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(taken("m", 1))
        desk.ferry.record(deposited("a", 5, 5))
        changes.record(deposited("a", 1, 6))

    assert desk.accounts == {"a": account("a", 6)}
    assert len(whole(desk)) == 4


def test_an_event_that_no_longer_follows_at_the_commit_rolls_everything_back(desk: Desk) -> None:
    desk.ferry.record(opened("a"))

    with (
        pytest.raises(TransitionRefused) as caught,
        desk.ferry.transaction(desk.conn) as changes,
    ):
        desk.order(desk.conn, "a")
        changes.record(taken("m", 1))
        changes.record(deposited("a", 5, 5))
        beside = desk.ferry.record(deposited("a", 1, 1))
    beside.durable(10)

    assert "account/a" in caught.value.where
    assert desk.accounts == {"a": account("a", 1)}
    assert (desk.ordered(), desk.memory()["reading"]) == (set(), {})
    assert len(whole(desk)) == 2


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (deposited("a", 1, 9), TransitionRefused),
        (AccountOpened("a", "ann", AT.replace(tzinfo=None)), EventInvalid),
        (account("a"), EventTypeUnknown),
    ],
)
def test_a_bad_event_is_refused_where_it_is_recorded(
    desk: Desk, event: Any, error: type[Exception]
) -> None:
    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(opened("b"))
        with pytest.raises(error):
            changes.record(event)
        changes.record(deposited("b", 1, 1))

    assert desk.accounts == {"b": account("b", 1)}
    assert len(whole(desk)) == 2


def test_a_stream_that_the_log_does_not_hold_yet_begins_with_its_state(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(accounts={"own": account("own", 7)}, rings={"m": readings("m", 1, 2)})

    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(deposited("own", 1, 8))
        changes.record(taken("m", 3))
        changes.record(closed("own"))

    assert len(changes.receipts) == 3
    assert types_of(whole(desk)) == [
        "ledger.account.snapshotted.v1", "ledger.account.deposited.v1",
        "ledger.reading.snapshotted.v1", "ledger.reading.snapshotted.v1",
        "ledger.reading.taken.v1", "ledger.account.closed.v1",
    ]  # fmt: skip


def test_a_transaction_that_records_nothing_is_the_apps_alone(desk: Desk) -> None:
    with desk.ferry.transaction(desk.conn) as changes:
        desk.order(desk.conn, "a")

    assert (desk.ordered(), changes.receipts, desk.rows()) == ({"a"}, [], [])


def test_a_fence_holds_the_commit_to_the_end_of_its_lease(desk: Desk) -> None:
    desk.ferry.fence.close("f", SHORT_S)

    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(opened("a"))

    assert [pause.lapsed for pause in desk.ferry.fence.lapsed()] == [True]
    assert len(whole(desk)) == 1


def test_who_holds_the_shim_and_waits_for_a_locked_row_is_named(desk: Desk) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.ferry.lock:
            held.set()
            done.wait(DEADLINE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(DEADLINE_S)

    with (
        pytest.raises(TransactionBlocked, match="could not be numbered"),
        desk.ferry.transaction(desk.conn, timeout=SHORT_S) as changes,
    ):
        desk.order(desk.conn, "a")
        changes.record(opened("a"))

    done.set()
    thread.join(DEADLINE_S)
    assert (desk.accounts, desk.ordered(), desk.rows()) == ({}, set(), [])
    desk.ferry.record(opened("a")).durable(DEADLINE_S)


def test_a_transaction_that_is_under_way_is_not_taken_over(desk: Desk) -> None:
    desk.conn.execute("SELECT 1")

    with (
        pytest.raises(TransactionUnfit, match="in a transaction already"),
        desk.ferry.transaction(desk.conn),
    ):
        raise AssertionError("it was entered")


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_an_isolation_that_every_event_would_break_is_refused(desk: Desk, level: Any) -> None:
    conn = desk.connect()
    conn.isolation_level = level

    with pytest.raises(TransactionUnfit, match="collide"), desk.ferry.transaction(conn):
        raise AssertionError("it was entered")


def test_a_transaction_that_was_ended_by_hand_records_nothing(desk: Desk) -> None:
    with (
        pytest.raises(TransactionUnfit, match="ended by hand"),
        desk.ferry.transaction(desk.conn) as changes,
    ):
        changes.record(opened("a"))
        desk.conn.execute("COMMIT")

    assert (desk.accounts, desk.rows()) == ({}, [])


def test_a_connection_to_another_database_is_refused(desk: Desk) -> None:
    elsewhere = desk.connect(dbname="postgres")

    with (
        pytest.raises(TransactionUnfit, match="not in this connection's database"),
        desk.ferry.transaction(elsewhere),
    ):
        raise AssertionError("it was entered")


def test_a_commands_id_is_left_to_the_apps_own_tables(desk: Desk) -> None:
    with (
        pytest.raises(TransactionUnfit, match="command"),
        desk.ferry.transaction(desk.conn) as changes,
    ):
        changes.record(opened("a"), context=Context(commandid="c-1"))


def test_an_outbox_that_is_a_file_has_no_part_in_a_transaction(app: App, desk: Desk) -> None:
    with pytest.raises(OutboxElsewhere, match="is a file"):
        app.ferry.transaction(desk.conn)
