"""An audit that waits for a busy database: with real sessions at work in it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres as PostgresPart
from projector.audit.throttle import load_of, wait_until_quiet
from schemas.settings import Audit, Settings
from tests.projector.projecting import eventually
from tests.projector.waiting import until

Connection = psycopg.Connection[Any]
_KEY = 20_260_301


@contextmanager
def at_work(settings: Settings, database: Connection, sessions: int) -> Iterator[None]:
    """That many sessions each have a statement under way, until the end."""
    before = load_of(database).active
    database.execute("SELECT pg_advisory_lock(%s)", (_KEY,))

    def work() -> None:
        with psycopg.connect(settings.postgres.dsn) as conn:
            conn.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_KEY,))

    threads = [threading.Thread(target=work) for _ in range(sessions)]
    try:
        for thread in threads:
            thread.start()
        until(lambda: load_of(database).active >= before + sessions, "the sessions at work")
        yield
    finally:
        database.execute("SELECT pg_advisory_unlock(%s)", (_KEY,))
        for thread in threads:
            thread.join(10)


async def waited(
    conn: Connection, audit: Audit, stopping: asyncio.Event, said: list[str]
) -> list[str]:
    return await asyncio.wait_for(
        wait_until_quiet(conn, audit, stopping, said.append, look_s=0.01), 20
    )


async def test_a_quiet_database_is_not_waited_for(database: Connection) -> None:
    said: list[str] = []

    assert await waited(database, Audit(max_active=100), asyncio.Event(), said) == []
    assert said == []


async def test_it_waits_with_the_reason_until_others_are_done(
    settings: Settings, database: Connection
) -> None:
    said: list[str] = []
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as own:
        with at_work(settings, database, 3):
            audit = Audit(max_active=load_of(own).active - 1 or 1)
            waiting = asyncio.create_task(waited(own, audit, asyncio.Event(), said))
            await eventually(lambda: said, "a reason to wait")
            assert not waiting.done()

        assert await waiting == []
    assert "sessions are at work in the database, more than `audit.max_active`" in said[0]


async def test_it_audits_all_the_same_once_its_patience_is_at_an_end_and_says_so(
    settings: Settings, database: Connection
) -> None:
    said: list[str] = []
    with (
        at_work(settings, database, 2),
        psycopg.connect(settings.postgres.dsn, autocommit=True) as own,
    ):
        audit = Audit(max_active=1, patience_s=0)
        (why,) = await waited(own, audit, asyncio.Event(), said)

    assert why.startswith("made though ")
    assert "`audit.max_active` (1): it had waited for 0 s" in why


async def test_it_ends_at_once_when_the_job_is_stopped(
    settings: Settings, database: Connection
) -> None:
    stopping, said = asyncio.Event(), list[str]()
    with (
        at_work(settings, database, 2),
        psycopg.connect(settings.postgres.dsn, autocommit=True) as own,
    ):
        waiting = asyncio.create_task(waited(own, Audit(max_active=1), stopping, said))
        await eventually(lambda: said, "a reason to wait")
        stopping.set()

        assert await waiting == []


async def test_what_a_role_may_not_see_is_told(
    settings: Settings, database: Connection, stack: Stack
) -> None:
    role, audit = f"watcher_{settings.projection}", Audit(max_active=100)
    watchers = make_conninfo(settings.postgres.dsn, user=role, password="x")  # noqa: S106
    with psycopg.connect(PostgresPart(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        with psycopg.connect(watchers, autocommit=True) as watcher:
            blind = await waited(watcher, audit, asyncio.Event(), [])
            superuser.execute(f"GRANT pg_read_all_stats TO {role}")
            seeing = await waited(watcher, audit, asyncio.Event(), [])

    assert "could not be seen: `GRANT pg_read_all_stats`" in blind[0]
    assert seeing == []


@pytest.mark.parametrize("sessions", [1, 4])
def test_sessions_at_work_are_counted(
    settings: Settings, database: Connection, sessions: int
) -> None:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as own:
        before = load_of(own).active
        with at_work(settings, database, sessions):
            assert load_of(own).active >= before + sessions
