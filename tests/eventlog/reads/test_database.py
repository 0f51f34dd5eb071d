"""Connections for reads: opened when needed, replaced when cut, few, and never for writing."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from eventlog.reads.database import Connection, Database
from eventlog.reads.unavailable import ReadUnavailable
from schemas.settings import Settings
from tests.projector.waiting import until

CONNECTIONS_MAX = 4


def soon() -> float:
    return time.monotonic() + 10


@pytest.fixture
def make_database(settings: Settings) -> Iterator[Callable[..., Database]]:
    made: list[Database] = []

    def make(dsn: str = settings.postgres.dsn, statement_timeout_s: float = 5) -> Database:
        made.append(
            Database(
                dsn,
                application_name=f"reads {settings.projection}",
                connect_timeout_s=2,
                statement_timeout_s=statement_timeout_s,
                connections=CONNECTIONS_MAX,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close(5)


@pytest.fixture
def reads(make_database: Callable[..., Database]) -> Database:
    return make_database()


def pid(conn: Connection) -> int:
    number: int = conn.execute("SELECT pg_backend_pid()").fetchall()[0][0]
    return number


def shown(conn: Connection) -> list[Any]:
    names = ("TimeZone", "statement_timeout", "application_name", "transaction_read_only")
    return [conn.execute("SELECT current_setting(%s)", (name,)).fetchall()[0][0] for name in names]


def backends(database: psycopg.Connection[Any], settings: Settings) -> list[int]:
    found = database.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s",
        (f"reads {settings.projection}",),
    )
    return [row[0] for row in found]


def cut(database: psycopg.Connection[Any], name: str) -> bool:
    """End all connections that reads of this name have; say whether there were none."""
    found = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
        (f"reads {name}",),
    )
    return not found.fetchall()


def test_nothing_is_opened_before_a_read(
    reads: Database, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    assert backends(database, settings) == []

    reads.run(pid, soon())

    assert backends(database, settings)


def test_a_session_is_in_utc_has_a_deadline_and_a_name(reads: Database, settings: Settings) -> None:
    def look(conn: Connection) -> list[Any]:
        with conn.transaction():
            return shown(conn)

    assert reads.run(look, soon()) == ["UTC", "5s", f"reads {settings.projection}", "on"]


def test_reads_at_the_same_time_take_a_few_connections_each(
    reads: Database, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    together = threading.Barrier(CONNECTIONS_MAX, timeout=10)
    pids: set[int] = set()

    def work(conn: Connection) -> None:
        together.wait()
        pids.add(pid(conn))
        together.wait()

    threads = [
        threading.Thread(target=reads.run, args=(work, soon())) for _ in range(CONNECTIONS_MAX * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(pids) == CONNECTIONS_MAX == len(backends(database, settings))


def test_who_gets_no_connection_in_time_is_told_that_all_are_in_use(reads: Database) -> None:
    held, free = threading.Barrier(CONNECTIONS_MAX + 1, timeout=10), threading.Event()

    def hold(_conn: Connection) -> None:
        held.wait()
        free.wait(10)

    threads = [
        threading.Thread(target=reads.run, args=(hold, soon())) for _ in range(CONNECTIONS_MAX)
    ]
    for thread in threads:
        thread.start()
    held.wait()

    with pytest.raises(ReadUnavailable, match="all 4 are in use"):
        reads.run(pid, time.monotonic() + 0.05)

    free.set()
    for thread in threads:
        thread.join()


def test_connections_that_were_cut_are_replaced_unseen(
    reads: Database, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    first = reads.run(pid, soon())
    until(lambda: cut(database, settings.projection), "the end of the connections")

    second = reads.run(pid, soon())

    assert second != first


def test_a_read_that_takes_too_long_is_ended(make_database: Callable[..., Database]) -> None:
    reads = make_database(statement_timeout_s=0.05)

    with pytest.raises(ReadUnavailable, match="canceling statement due to statement timeout"):
        reads.run(lambda conn: conn.execute("SELECT pg_sleep(10)"), soon())
    assert reads.run(pid, soon())


def test_a_database_that_comes_back_is_read_again(
    make_database: Callable[..., Database], settings: Settings, stack: Stack
) -> None:
    name = settings.projection
    with psycopg.connect(Postgres(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} OWNER memferry")
        reads = make_database(make_conninfo(settings.postgres.dsn, dbname=name))
        reads.run(pid, soon())

        superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        until(lambda: cut(superuser, name), "the end of the connections")
        for _ in range(3):
            with pytest.raises(ReadUnavailable, match="not currently accepting connections"):
                reads.run(pid, soon())
        superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        assert reads.run(pid, soon())
        reads.close(5)
        superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_was_never_there_is_not_waited_for(
    make_database: Callable[..., Database], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ReadUnavailable, match="refused"):
        make_database("host=127.0.0.1 port=1 user=x").run(pid, soon())

    assert [record for record in caplog.records if record.name == "psycopg.pool"] == []


def test_an_unreadable_connection_string_is_not_shown(
    make_database: Callable[..., Database],
) -> None:
    with pytest.raises(ReadUnavailable, match="cannot be read") as caught:
        make_database("hunter2 = is = secret").run(pid, soon())

    assert "hunter2" not in str(caught.value)


def test_a_closed_pool_says_so(reads: Database) -> None:
    reads.run(pid, soon())
    reads.close(5)

    with pytest.raises(ReadUnavailable, match="the shim is closed"):
        reads.run(pid, soon())
