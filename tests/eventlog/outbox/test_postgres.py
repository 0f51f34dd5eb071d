"""The PostgreSQL outbox: what is its own beside the contract of every outbox."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from eventlog.outbox.contract import Command, OutboxAdopted, Safe
from eventlog.outbox.postgres import PostgresOutbox
from eventlog.outbox.postgres_place import OutboxAway, Place
from schemas.lane import CONTROL_PARTITION
from tests.eventlog.app import DEADLINE_S, IDENTITY, require_whole_lanes
from tests.eventlog.outbox.appender import Item
from tests.eventlog.outbox.cutting import cut, items
from tests.projector.proxy import proxied
from tests.projector.waiting import until_blocked_by


def streams(outbox: PostgresOutbox) -> list[str]:
    rows = outbox.rows(0, 1_000)
    require_whole_lanes(rows)
    return [row.stream for row in rows]


def test_an_append_comes_back_after_its_connection_was_cut(
    opened: Callable[..., PostgresOutbox], dsn: str
) -> None:
    outbox = opened()
    outbox.append(items("a"))
    cut(dsn, outbox._conn.info.backend_pid)
    outbox.look_after()

    outbox.append(items("b", "c"))

    assert streams(outbox) == ["account/a", "account/b", "account/c"]
    outbox.look_after()


def test_an_append_whose_answer_was_lost_is_there_once(
    opened: Callable[..., PostgresOutbox], place: Place, dsn: str
) -> None:
    opened().close()  # its tables are made in a transaction, which is not the one meant here

    with proxied(dsn, commit=2) as proxy:
        outbox = opened(place._replace(dsn=proxy.dsn))
        outbox.append(items("a"))
        outbox.append(items("b"))

        assert proxy.cut.is_set()
        outbox.append(items("c"))

    assert streams(outbox) == ["account/a", "account/b", "account/c"]
    assert outbox.last_row() == 3


def test_an_append_gives_up_where_the_database_stays_away(
    opened: Callable[..., PostgresOutbox], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(away_s=0.2)
    gone = outbox.where._replace(dsn="host=127.0.0.1 port=1 user=x")
    monkeypatch.setattr(outbox, "where", gone)
    cut(dsn, outbox._conn.info.backend_pid)

    with pytest.raises(psycopg.OperationalError):
        outbox.append(items("a"))


def test_an_append_that_the_database_refuses_for_good_is_not_tried_for_ever(
    opened: Callable[..., PostgresOutbox], dsn: str
) -> None:
    outbox = opened(away_s=0.2)
    with psycopg.connect(dsn) as conn:
        conn.execute(
            psycopg.sql.SQL("ALTER TABLE {} ADD CHECK (number > 5)").format(
                psycopg.sql.Identifier(outbox.where.schema, "event")
            )
        )

    with pytest.raises(psycopg.IntegrityError):
        outbox.append(items("a"))

    assert (outbox.last_row(), streams(outbox)) == (0, [])


def test_whoever_opened_it_before_can_write_no_more(
    opened: Callable[..., PostgresOutbox], dsn: str
) -> None:
    old = opened()
    old.append(items("a"))
    cut(dsn, old._conn.info.backend_pid)
    new = opened()

    new.append(items("b"))

    old.look_after()  # a connection that was cut hears nothing: that is no error yet
    with pytest.raises(OutboxAdopted):
        old.append(items("c"))
    assert streams(new) == ["account/a", "account/b"]


def test_a_session_that_would_not_wait_for_the_disk_does(
    opened: Callable[..., PostgresOutbox], place: Place, dsn: str
) -> None:
    lax = make_conninfo(dsn, options="-c synchronous_commit=off")

    outbox = opened(place._replace(dsn=lax))

    assert outbox._conn.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_command_is_durable_with_its_events_and_found_by_its_id(
    opened: Callable[..., PostgresOutbox],
) -> None:
    outbox = opened()
    assert not outbox.holds_commands()
    pending: list[Any] = items("a", "b")
    for row, item in enumerate(pending, 1):
        item.row, item.event_id = row, f"id-{row}"
    command = Command("c\0-1", b"digest")
    command.events = pending

    outbox.append(pending, [command])
    outbox.close()

    again = opened()
    assert again.holds_commands()
    found = again.command("c\0-1")
    assert found is not None
    assert found.content == b"digest"
    assert [(e.row, e.event_id, e.seq) for e in found.events] == [(1, "id-1", 1), (2, "id-2", 1)]
    assert again.command("other") is None


def test_what_the_writing_thread_does_waits_for_who_looks_up_a_transaction(
    opened: Callable[..., PostgresOutbox], dsn: str
) -> None:
    outbox = opened()
    outbox.append(items("a", "b"))
    columns, _ = outbox.number(items("c"))
    lock = psycopg.sql.SQL("SELECT FROM {} FOR UPDATE").format(
        psycopg.sql.Identifier(outbox.where.schema, "identity")
    )
    with (
        psycopg.connect(dsn) as holding,
        psycopg.connect(dsn, autocommit=True) as watch,
        ThreadPoolExecutor(2) as threads,
    ):
        holding.execute(lock)
        looking = threads.submit(outbox.settle, columns)
        until_blocked_by(watch, holding)

        pruning = threads.submit(outbox.prune, Safe(2, {0: 1, 1: 1}), 10, 0.0)

        with pytest.raises(TimeoutError):
            pruning.result(0.05)
        holding.rollback()
        assert (looking.result(DEADLINE_S), pruning.result(DEADLINE_S)) == (False, 2)


def test_what_asks_while_the_database_is_away_harms_nothing(
    opened: Callable[..., PostgresOutbox], dsn: str
) -> None:
    outbox = opened()
    pending: list[Any] = items("a")
    pending[0].row, pending[0].event_id = 1, "id-1"
    command = Command("c-1", b"digest")
    command.events = pending
    outbox.append(pending, [command])
    size = outbox.used_bytes()
    assert outbox.command("c-1") is not None
    assert outbox._index._conn is not None
    cut(dsn, outbox._conn.info.backend_pid)
    cut(dsn, outbox._index._conn.info.backend_pid)

    assert outbox.prune(Safe(1, {0: 1}), 10, 0.0) == 0
    assert outbox.used_bytes() == size > 0
    assert outbox.command("c-1") is not None
    outbox.append(items("b"))
    assert outbox.prune(Safe(1, {0: 1}), 10, 0.0) == 1


@pytest.mark.parametrize(
    ("sent", "applied", "first"),
    [
        (31, {0: 10, 1: 10, 2: 10}, 32),
        (31, {0: 10, 1: 4, 2: 10}, 15),
        (20, {0: 10, 1: 10, 2: 10}, 21),
        (31, {0: 10, 1: 10}, 4),
        (31, {}, 2),
        (0, {0: 10, 1: 10, 2: 10}, 2),
    ],
)
def test_rows_go_that_are_sent_and_applied_and_none_behind_one_that_is_not(
    opened: Callable[..., PostgresOutbox], sent: int, applied: dict[int, int], first: int
) -> None:
    outbox = opened()
    outbox.append([Item(CONTROL_PARTITION, "memferry/app-1", "opened")])
    outbox.append([Item(n % 3, f"account/{n}", str(n)) for n in range(30)])
    before = outbox.heads()

    steps = [outbox.prune(Safe(sent, applied), 8, 0.0) for _ in range(5)]

    assert [row.row for row in outbox.rows(0, 100)] == [1, *range(first, 32)]
    assert (sum(steps), max(steps) <= 8) == (first - 2, True)
    outbox.close()
    again = opened()
    assert (again.last_row(), again.heads()) == (31, before)
    again.append(items("b"))
    assert again.rows(31, 10)[0].row == 32


def test_commands_are_remembered_as_long_as_their_events_and_then_for_a_time(
    opened: Callable[..., PostgresOutbox],
) -> None:
    outbox = opened()
    pending: list[Any] = items("a", "b")
    commands = []
    for row, item in enumerate(pending, 1):
        item.row, item.event_id = row, f"id-{row}"
        commands.append(Command(f"c-{row}", b"digest"))
        commands[-1].events = [item]
    outbox.append(pending, commands)

    assert outbox.prune(Safe(1, {0: 1, 1: 1}), 10, 3_600.0) == 1
    assert outbox.command("c-1") is not None
    assert outbox.prune(Safe(2, {0: 1, 1: 1}), 10, 0.0) == 1

    assert [outbox.command(f"c-{row}") for row in (1, 2)] == [None, None]


@pytest.mark.parametrize(
    "away", ["host=127.0.0.1 port=1 password=hunter2", "postgresql://u:hun ter2"]
)
def test_a_database_that_is_away_is_named_without_its_password(away: str) -> None:
    with pytest.raises(OutboxAway) as caught:
        PostgresOutbox(Place(away, "s", 2), IDENTITY)

    assert "hunter2" not in str(caught.value)
    assert caught.value.remedy
