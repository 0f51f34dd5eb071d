"""Notices of a real database, awaited."""

import asyncio
from typing import Any

import msgspec
import psycopg
import pytest

from projector.control_tables import DatabaseUnreachable
from projector.notices import Notice, Notices
from schemas.settings import Postgres, Settings
from tests.projector.projecting import eventually

_DEADLINE_S = 10


@pytest.fixture
def channel(settings: Settings) -> str:
    return settings.topic


def notify(conn: psycopg.Connection[Any], channel: str, payload: str) -> None:
    conn.execute("SELECT pg_notify(%s, %s)", (channel, payload))


def of_role(conn: psycopg.Connection[Any], role: str) -> list[int]:
    rows = conn.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (f"memferry {role}",)
    ).fetchall()
    return [pid for (pid,) in rows]


async def test_what_is_notified_is_returned_in_order_and_nothing_of_other_channels(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    async with asyncio.timeout(_DEADLINE_S), Notices(settings, "t", (channel, "Other")) as notices:
        for name, payload in ((channel, "a"), ("foreign", "b"), ("Other", "c"), (channel, "d")):
            notify(database, name, payload)

        heard = [await notices.next() for _ in range(3)]

    assert heard == [Notice(channel, "a"), Notice("Other", "c"), Notice(channel, "d")]


async def test_who_waits_already_is_woken(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    async with asyncio.timeout(_DEADLINE_S), Notices(settings, "t", (channel,)) as notices:
        waiting = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        assert not waiting.done()
        notify(database, channel, "now")

        assert await waiting == Notice(channel, "now")


async def test_a_wait_given_up_loses_no_notice(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    async with asyncio.timeout(_DEADLINE_S), Notices(settings, "t", (channel,)) as notices:
        given_up = asyncio.ensure_future(notices.next())
        await asyncio.sleep(0)
        notify(database, channel, "kept")
        given_up.cancel()
        await asyncio.wait([given_up])

        assert await notices.next() == Notice(channel, "kept")


async def test_equal_notices_that_nobody_took_are_one(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    async with asyncio.timeout(_DEADLINE_S), Notices(settings, "t", (channel,)) as notices:
        for payload in (*["again"] * 100, "last"):
            notify(database, channel, payload)
        heard = [await notices.next()]
        while heard[-1].payload != "last":
            heard.append(await notices.next())

    assert len(heard) < 100


async def test_a_connection_that_ends_is_told_behind_what_it_brought(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    role = f"listens {channel}"
    async with asyncio.timeout(_DEADLINE_S), Notices(settings, role, (channel,)) as notices:
        (pid,) = of_role(database, role)
        notify(database, channel, "before")
        notify(database, channel, "and before")

        database.execute("SELECT pg_terminate_backend(%s)", (pid,))

        assert await notices.next() == Notice(channel, "before")
        assert await notices.next() == Notice(channel, "and before")
        with pytest.raises(DatabaseUnreachable, match="listens to PostgreSQL ended"):
            await notices.next()
        with pytest.raises(DatabaseUnreachable):  # and whoever asks again is told again
            await notices.next()


async def test_its_connection_ends_with_it(
    settings: Settings, database: psycopg.Connection[Any], channel: str
) -> None:
    role = f"listens {channel}"
    async with Notices(settings, role, (channel,)):
        assert of_role(database, role)

    await eventually(lambda: not of_role(database, role), "the end of its connection")


@pytest.mark.parametrize("dsn", ["postgresql://127.0.0.1:1/none", "no dsn at all"])
async def test_no_database_is_said_at_the_start(settings: Settings, dsn: str) -> None:
    nowhere = msgspec.structs.replace(settings, postgres=Postgres(dsn=dsn))

    with pytest.raises(DatabaseUnreachable):
        async with Notices(nowhere, "t", ("x",)):
            pass
