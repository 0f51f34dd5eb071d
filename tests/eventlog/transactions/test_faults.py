"""The app's own transactions through lost answers, cut connections, threads and kill -9."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest

from eventlog.outbox.contract import OutboxAdopted
from eventlog.receipts import OutcomeUnknown
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, account, deposited, opened, require_whole_lanes
from tests.eventlog.transactions.desk import Desk, in_postgres
from tests.projector.proxy import proxied
from tests.projector.waiting import until


def whole(desk: Desk) -> int:
    """Return how many events are durable; lanes are whole, and memory is what they say."""
    rows = desk.rows()
    require_whole_lanes(rows, desk.ferry.identity)
    assert desk.logged() == desk.memory()
    return len(rows)


def test_a_commit_whose_answer_was_lost_is_looked_up_and_memory_follows_it(desk: Desk) -> None:
    with proxied(desk.settings.postgres.dsn, commit=1) as proxy:
        with desk.ferry.transaction(desk.connect(proxy.dsn)) as changes:
            changes.record(opened("a"))

        assert proxy.cut.is_set()

    assert desk.accounts == {"a": account("a")}
    assert [receipt.row for receipt in changes.receipts] == [1]
    desk.ferry.record(deposited("a", 1, 1)).durable(DEADLINE_S)
    assert whole(desk) == 2


def test_a_connection_that_is_cut_before_the_commit_leaves_memory_untouched(
    desk: Desk,
) -> None:
    conn = desk.connect()

    with pytest.raises(psycopg.OperationalError), desk.ferry.transaction(conn) as changes:
        desk.order(conn, "a")
        changes.record(opened("a"))
        cut(desk, conn.info.backend_pid)

    assert (desk.accounts, desk.ordered(), changes.receipts) == ({}, set(), [])
    desk.ferry.record(opened("b")).durable(DEADLINE_S)
    assert whole(desk) == 1


def cut(desk: Desk, pid: int) -> None:
    with desk.connect() as conn:
        conn.execute("SELECT pg_terminate_backend(%s)", (pid,))
    conn.close()


def test_an_outcome_that_nobody_tells_halts_the_shim(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(desk.settings.postgres.dsn, commit=1) as proxy:
        conn = desk.connect(proxy.dsn)
        monkeypatch.setattr(desk.outbox, "_away_s", 0.0)

        with pytest.raises(OutcomeUnknown), desk.ferry.transaction(conn) as changes:
            changes.record(opened("a"))
            elsewhere = desk.outbox.where._replace(dsn="host=127.0.0.1 port=1 user=x")
            monkeypatch.setattr(desk.outbox, "where", elsewhere)
            cut(desk, desk.outbox._conn.info.backend_pid)

    with pytest.raises(OutcomeUnknown):
        desk.ferry.record(opened("b"))
    assert desk.accounts == {}


def test_an_outbox_that_another_opened_takes_no_transaction_of_this_one(
    desk: Desk, make_desk: Callable[..., Desk]
) -> None:
    with pytest.raises(OutboxAdopted), desk.ferry.transaction(desk.conn) as changes:
        changes.record(opened("a"))
        cut(desk, desk.outbox._conn.info.backend_pid)
        other = make_desk(desk.settings)
        other.ferry.record(opened("theirs")).durable(DEADLINE_S)
    with pytest.raises(OutboxAdopted), desk.ferry.transaction(desk.conn):
        raise AssertionError("it was entered")

    assert desk.accounts == {}
    assert [row.stream for row in other.rows()] == ["account/theirs"]


def test_threads_that_commit_and_record_at_once_leave_whole_lanes_and_memory(desk: Desk) -> None:
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        chance, conn = random.Random(seed), desk.connect()
        try:
            for number in range(12):
                name = f"{seed}-{number}"
                if chance.random() < 0.3:
                    desk.ferry.record(opened(name))
                    continue
                with desk.ferry.transaction(conn) as changes:
                    desk.order(conn, name)
                    changes.record(opened(name))
                    changes.record(deposited(name, 1, 1))
                    if chance.random() < 0.3:
                        raise psycopg.Rollback
        except BaseException as error:  # told by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * DEADLINE_S)

    assert errors == []
    desk.ferry.durable.wait(desk.ferry.recorded_position(), DEADLINE_S)
    assert whole(desk) == desk.ferry.recorded_position()
    assert desk.ordered() == {name for name, held in desk.accounts.items() if held.balance}


@pytest.mark.parametrize("commits", [1, 12])
def test_a_killed_app_has_every_event_whose_row_is_there_and_no_other(
    settings: Settings, make_desk: Callable[..., Desk], tmp_path: Path, commits: int
) -> None:
    given = in_postgres(settings)
    file = tmp_path / "settings.json"
    file.write_bytes(msgspec.json.encode(given))
    app = subprocess.Popen(
        [sys.executable, "-m", "tests.eventlog.transactions.committing", str(file)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert app.stdout is not None
    said = [app.stdout.readline() for _ in range(commits)]

    app.send_signal(signal.SIGKILL)

    said += app.stdout.read().splitlines(keepends=True)
    app.stdout.close()
    assert app.wait() == -signal.SIGKILL
    acknowledged = {line.strip() for line in said if line.endswith("\n")}
    desk = make_desk(given)
    # The server may still be at the last commit when the app is gone.
    until(lambda: desk.ordered() == set(desk.accounts), "rows and memory that agree")
    assert acknowledged <= desk.ordered()
    assert whole(desk) == 2 * len(desk.accounts)
    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(opened("after"))
    assert whole(desk) == 2 * len(desk.accounts) - 1
