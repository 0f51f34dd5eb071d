"""Waiting for a position or an event: woken by what commits, never by a clock."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from projector.control_tables import (
    DatabaseUnreachable,
    Projection,
    ProjectionMissing,
    set_state,
)
from projector.sql import query
from projector.waiting import (
    Goal,
    Look,
    PositionGoal,
    ReceiptGoal,
    ReceiptInvalid,
    parse_receipt,
    wait_until,
)
from schemas.position import PositionInvalid
from schemas.settings import Settings
from tests.projector.projecting import eventually

Conn = psycopg.Connection[Any]
_DEADLINE_S = 15.0


class Watched:
    """A goal that counts the looks at it; behind each look the next step is done."""

    def __init__(self, goal: Goal, *steps: Callable[[], object]) -> None:
        self._goal = goal
        self._steps = iter(steps)
        self.looks = 0

    def look(self, conn: Conn, projection: str) -> Look:
        look = self._goal.look(conn, projection)
        self.looks += 1
        next(self._steps, bool)()
        return look


@pytest.fixture
def there(database: Conn, projection: Projection, settings: Settings) -> Settings:
    """The settings of an established projection whose source is registered."""
    database.execute(
        query("source_opened"),
        {
            "source": settings.source, "topic": settings.topic, "generation": 1, "partitions": 3,
            "at": "2026-01-01T00:00:00Z",
        },
    )  # fmt: skip
    return settings


def commit(conn: Conn, name: str, partition: int, offset: int, *, seq: int = 0) -> None:
    """Do what a projector's transaction does: move a checkpoint, perhaps its lane, and notify."""
    with conn.transaction():
        conn.execute(
            "UPDATE memferry.checkpoint SET next_offset = %s, stopped = '' "
            "WHERE projection = %s AND partition = %s",
            (offset, name, partition),
        )
        if seq:
            conn.execute(
                "INSERT INTO memferry.lane VALUES (%s, 'app-1', 1, %s, %s, repeat('0', 64), 0)",
                (name, partition, seq),
            )
        conn.execute("SELECT pg_notify('memferry_applied', %s)", (name,))


def stop(conn: Conn, name: str, partition: int, reason: str) -> None:
    conn.execute(
        query("checkpoint_stop"),
        {"projection": name, "partition": partition, "term": 0, "reason": reason},
    )


def park(conn: Conn, name: str, partition: int, offset: int, *, seq: int = 1) -> None:
    conn.execute(
        "INSERT INTO memferry.parked VALUES "
        "(%s, %s, %s, 'app-1', 1, %s, 'account/a', 't', '', false, 'no such owner', 'here')",
        (name, partition, offset, seq),
    )


def unpark(conn: Conn, name: str) -> None:
    with conn.transaction():
        conn.execute("DELETE FROM memferry.parked WHERE projection = %s", (name,))
        conn.execute("SELECT pg_notify('memferry_applied', %s)", (name,))


async def test_a_position_that_the_tables_hold_needs_one_look(
    there: Settings, database: Conn
) -> None:
    name = there.projection
    commit(database, name, 1, 5)
    goal = Watched(PositionGoal({0: 0, 1: 5, 2: 0}))

    look = await wait_until(there, name, goal, _DEADLINE_S)

    assert look == Look(reached=True)
    assert goal.looks == 1


async def test_a_commit_between_the_look_and_the_wait_is_not_missed(
    there: Settings, database: Conn
) -> None:
    name = there.projection
    steps = [partial(commit, database, name, 2, offset) for offset in (1, 2, 3)]
    goal = Watched(PositionGoal({2: 3}), *steps)

    look = await wait_until(there, name, goal, _DEADLINE_S)

    assert look.reached
    assert goal.looks == 4  # each but the first was woken by the commit behind the one before


async def test_nothing_is_looked_at_again_without_a_notice_of_its_projection(
    there: Settings, database: Conn
) -> None:
    foreign = partial(commit, database, there.projection + "x", 0, 1)
    goal = Watched(PositionGoal({0: 1}), foreign, foreign)

    look = await wait_until(there, there.projection, goal, 0.5)

    assert look == Look(False)
    assert goal.looks == 1


async def test_whatever_stands_in_the_way_is_told_and_waiting_goes_on(
    there: Settings, database: Conn
) -> None:
    name = there.projection
    park(database, name, 0, 3)
    told: list[tuple[str, ...]] = []
    goal = Watched(
        PositionGoal({0: 4, 1: 2}),
        partial(set_state, database, name, "held", "rollback to x"),
        partial(set_state, database, name, "live", ""),
        partial(stop, database, name, 1, "a hole\n  where: p1"),
        partial(unpark, database, name),
        partial(commit, database, name, 1, 2),
        partial(commit, database, name, 0, 4),
    )

    look = await wait_until(there, name, goal, _DEADLINE_S, told.append)

    assert look.reached
    parked = "1 event below it parked: see `memferry parked list`"
    stopped = "partition 1 stopped: a hole; see `memferry status`"
    assert told == [
        (parked,),
        (f"projection {name!r} is held: rollback to x", parked),
        (parked,),
        (stopped, parked),
        (stopped,),
        (),
    ]


async def test_an_event_is_there_once_its_lane_has_passed_it(
    there: Settings, database: Conn
) -> None:
    name = there.projection
    goal = Watched(ReceiptGoal("app-1", 2, 7), partial(commit, database, name, 2, 90, seq=7))

    look = await wait_until(there, name, goal, _DEADLINE_S)
    later = await wait_until(there, name, ReceiptGoal("app-1", 2, 8), 0)
    nobody = await wait_until(there, name, ReceiptGoal("app-9", 2, 1), 0)

    assert look.reached
    assert later == Look(False)
    assert nobody == Look(False, ("no source 'app-9' is registered",))


async def test_an_event_that_was_parked_is_not_there_until_it_was_retried(
    there: Settings, database: Conn
) -> None:
    name = there.projection
    park(database, name, 2, 5, seq=7)
    commit(database, name, 2, 6, seq=7)
    told: list[tuple[str, ...]] = []

    despite = await wait_until(there, name, ReceiptGoal("app-1", 2, 7, despite_parked=True), 0)
    position = await wait_until(there, name, PositionGoal({2: 6}, despite_parked=True), 0)
    before = await wait_until(there, name, PositionGoal({2: 5}), 0)
    goal = Watched(ReceiptGoal("app-1", 2, 7), partial(unpark, database, name))
    look = await wait_until(there, name, goal, _DEADLINE_S, told.append)

    assert (despite.reached, position.reached, before.reached, look.reached) == (True,) * 4
    assert told == [("it is parked: no such owner; see `memferry parked list`",), ()]


async def test_a_connection_that_is_lost_ends_the_wait(there: Settings, database: Conn) -> None:
    name = there.projection
    goal = Watched(PositionGoal({0: 1}))
    waiting = asyncio.ensure_future(wait_until(there, name, goal, _DEADLINE_S))
    await eventually(lambda: goal.looks, "the first look")

    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
        (f"memferry wait {name} notices",),
    )

    with pytest.raises(DatabaseUnreachable):
        await waiting


async def test_what_cannot_be_reached_is_refused_at_once(there: Settings) -> None:
    name = there.projection
    for goal in (PositionGoal({0: 1, 3: 1}), ReceiptGoal("app-1", 3, 1)):
        with pytest.raises(PositionInvalid, match="no partition 3"):
            await wait_until(there, name, goal)
    with pytest.raises(ProjectionMissing):
        await wait_until(there, "nowhere", PositionGoal({0: 1}))


@pytest.mark.parametrize("text", ["", "app-1", "app-1:0", ":0:1", "a:b:1", "a:0:0", "a:0:-1"])
def test_a_receipt_that_names_no_event_is_refused(text: str) -> None:
    with pytest.raises(ReceiptInvalid, match="names no event"):
        parse_receipt(text)


def test_a_receipt_is_source_partition_and_number() -> None:
    assert parse_receipt("app-1:2:4711") == ReceiptGoal("app-1", 2, 4711)
