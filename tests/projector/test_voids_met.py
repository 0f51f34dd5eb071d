import asyncio
from typing import Any

import psycopg

from projector.control_topic import read_control
from projector.runner import Projector
from projector.sql import query
from projector.voids import (
    obey,
    obeyed_places,
)
from schemas.lane import LaneId
from schemas.settings import Settings
from schemas.void import OPEN_END, Span, Void
from tests.domains.ledger import DOMAIN
from tests.projector.app import accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project, projecting
from tests.projector.segments import lanes_in, offsets_in
from tests.projector.voided import Written, deposited, opened

A, B = accounts_in(0, 2)
C, D = accounts_in(1, 2)
ACCOUNTS = (A, B, C, D)
LANE = LaneId("app-1", 1, 0)


def balances(conn: psycopg.Connection[Any], projection: str) -> dict[str, int]:
    return {row[0]: int(row[2]) for row in tables(conn, projection)["accounts"]}


def stops(conn: psycopg.Connection[Any], projection: str) -> dict[int, str]:
    rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
    return {row[0]: row[2].splitlines()[0] for row in rows if row[2]}


async def test_tables_made_of_a_log_with_voids_lack_what_is_void(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(*ACCOUNTS))
    for account in ACCOUNTS:
        written.record(deposited(account, 1, 1), deposited(account, 2, 3))
    written.void("v", {0: 3, 1: 4}, f"account/{A}", f"account/{D}")
    written.record(deposited(A, 5, 6))
    written.void("w", {1: 6})
    written.restore("w")
    written.send(broker, topic)

    progress = await project(topic)

    assert progress.stopped == {}
    assert balances(database, topic.projection) == {A: 6, B: 3, C: 3, D: 0}
    assert lanes_in(database, topic.projection) == written.seqs()
    assert obeyed_places(database, topic.projection) == {("v", "app-1")}


async def test_a_projector_stops_before_a_mark_and_goes_on_once_its_tables_obey(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(A, C), deposited(A, 1, 1), deposited(C, 1, 1))
    written.send(broker, topic)
    async with projecting(topic) as projector:
        await eventually(lambda: projector.progress.applied == 4, "the log applied")

        void = written.void("v", {0: 1})
        written.record(deposited(A, 5, 5), deposited(C, 7, 8))
        written.send(broker, topic)
        await eventually(lambda: len(stops(database, topic.projection)) == 3, "stopped")
        stopped = offsets_in(database, topic.projection), stops(database, topic.projection)
        with database.transaction():  # as a swap leaves it
            database.execute(
                f"UPDATE {topic.projection}.accounts SET balance = 0 WHERE account = '{A}'"
            )
            obey(database, topic.projection, void)
        await eventually(lambda: lanes_in(database, topic.projection) == written.seqs(), "gone on")

    assert stopped[0] == {0: 2, 1: 2, 2: 0}
    assert set(stopped[1].values()) == {"events before this one are void by v, and were applied"}
    assert balances(database, topic.projection) == {A: 5, C: 8}
    assert stops(database, topic.projection) == {}


async def test_a_void_of_nothing_that_was_applied_is_taken_over_where_its_mark_is_met(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(A, C))
    written.send(broker, topic)
    async with projecting(topic) as projector:
        await eventually(lambda: projector.progress.applied == 2, "the log applied")

        written.void("v", {})
        written.record(deposited(A, 5, 5), deposited(C, 7, 7))
        written.send(broker, topic)
        await eventually(lambda: lanes_in(database, topic.projection) == written.seqs(), "gone on")

    assert balances(database, topic.projection) == {A: 5, C: 7}
    assert obeyed_places(database, topic.projection) == {("v", "app-1")}


async def test_a_projector_at_a_mark_goes_on_where_what_was_void_counts_again(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(A, C), deposited(A, 1, 1), deposited(C, 1, 1))
    written.send(broker, topic)
    async with projecting(topic) as projector:
        await eventually(lambda: projector.progress.applied == 4, "the log applied")
        written.void("v", {0: 1, 1: 1})
        written.send(broker, topic)
        await eventually(lambda: len(stops(database, topic.projection)) == 3, "stopped")

        written.restore("v")
        written.send(broker, topic)
        await read_control(database, topic)
        database.execute(query("projection_notify"), (topic.projection,))
        await eventually(lambda: lanes_in(database, topic.projection) == written.seqs(), "gone on")

    assert balances(database, topic.projection) == {A: 1, C: 1}


async def test_a_rebuild_obeys_what_is_assumed_and_stops_where_that_ends(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(A), deposited(A, 1, 1))
    written.send(broker, topic)
    prepared = Void("v", "app-1", 1, {0: Span(1, OPEN_END)})
    assumed = Projector(topic, DOMAIN, until={0: 2, 1: 0, 2: 0}, assumed=[prepared])

    await asyncio.wait_for(assumed.run(), 30)

    assert balances(database, topic.projection) == {A: 0}
    assert lanes_in(database, topic.projection) == {0: 2}
    written.void("v", {0: 1})
    written.record(deposited(A, 5, 5))
    written.send(broker, topic)
    assert (await project(topic)).stopped == {}
    assert balances(database, topic.projection) == {A: 5}
