"""Replays beside a projector, beside each other, killed, and over a broken log."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.checkpoint import Fenced, ProjectionHeld
from projector.control_tables import read_projection, set_state
from projector.lanes import RecordRefused
from projector.replay.rebuild import ReplayIncomplete
from projector.replay.runs import ReplayInProgress
from projector.sql import query
from schemas.settings import Settings
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.replay.conftest import middle, state
from tests.projector.replaying import replay_to, replay_to_end
from tests.projector.segments import Worker, offsets_in


def _claimed(conn: psycopg.Connection[Any], settings: Settings) -> bool:
    claimed = "SELECT FROM memferry.checkpoint WHERE projection = %s AND term > 1"
    return conn.execute(claimed, (settings.projection,)).fetchone() is not None


def _waiting(conn: psycopg.Connection[Any], settings: Settings) -> bool:
    waiting = f"memferry projector {settings.projection} waiting"
    found = conn.execute("SELECT FROM pg_stat_activity WHERE application_name = %s", (waiting,))
    return found.fetchone() is not None


async def test_a_running_projector_is_fenced_and_goes_on_behind_the_replay(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    count = len(projected.rows())

    async with projecting(settings) as projector:
        await eventually(
            lambda: projector.progress.batches or _claimed(database, settings), "a claim"
        )
        await replay_to_end(settings)
        projected.open("late")
        broker.publish(settings, projected.rows()[count:])
        await eventually(lambda: projector.progress.applied == 1, "the new event applied")

    assert tables(database, settings.projection) == projected.expected()


async def test_a_running_projector_waits_while_the_projection_is_held(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    position, count = await middle(settings), len(projected.rows())

    async with projecting(settings) as projector:
        await eventually(lambda: _claimed(database, settings), "a claim")
        await replay_to(settings, position)
        projected.open("late")
        broker.publish(settings, projected.rows()[count:])
        await eventually(lambda: _waiting(database, settings), "the projector waits")
        meanwhile = offsets_in(database, settings.projection)
        await replay_to_end(settings)
        await eventually(lambda: not _waiting(database, settings), "the projector goes on")

    assert meanwhile == position
    assert projector.progress.applied == 0
    assert tables(database, settings.projection) == projected.expected()


async def test_an_idle_projector_learns_of_a_replay_and_goes_on_behind_it(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    position = await middle(settings)

    async with projecting(settings):
        await eventually(lambda: _claimed(database, settings), "a claim")
        await replay_to(settings, position)
        await eventually(lambda: _waiting(database, settings), "the projector waits")
        with database.transaction():
            set_state(database, settings.projection, "live", "")
        await eventually(
            lambda: tables(database, settings.projection) == projected.expected(),
            "everything applied again, without an event to wake the projector",
        )


async def test_a_zombie_from_before_the_replay_cannot_commit(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        zombie = Worker(conn, read_projection(database, settings.projection))
        await replay_to(settings, zombie.claim.offsets)
        projected.open("late")

        with pytest.raises(Fenced):
            zombie.transactions.apply(zombie.segments(projected))

    assert "late" not in {row[0] for row in tables(database, settings.projection)["accounts"]}


async def test_two_replays_do_not_run_at_once(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute(query("replay_lock"), (settings.projection,))

    with pytest.raises(ReplayInProgress) as refused:
        await replay_to_end(settings)

    assert repr(settings.projection) in refused.value.what
    assert state(database, settings) == ("live", "")
    assert tables(database, settings.projection) == projected.expected()


REPLAY = """
import asyncio, sys
import msgspec
from projector.replay.replaying import replay
from projector.replay.target import Target
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
def look(progress):
    if progress.applied:
        print(progress.applied, flush=True)
        sys.stdin.read()
settings = msgspec.json.decode(sys.argv[1], type=Settings)
asyncio.run(replay(settings, DOMAIN, Target(end=True), way="in_place", on_progress=look))
"""


def replaying(settings: Settings) -> "subprocess.Popen[str]":
    """A replay in a process of its own, which stands still behind its first batch."""
    return subprocess.Popen(
        [sys.executable, "-c", REPLAY, msgspec.json.encode(settings).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


async def test_a_replay_killed_midway_is_taken_up_by_the_next(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    batches = msgspec.structs.replace(settings.projector, batch_events=20)
    process = replaying(msgspec.structs.replace(settings, projector=batches))
    assert process.stdout is not None
    assert 0 < int(process.stdout.readline()) < 130
    with pytest.raises(ReplayInProgress):
        await replay_to_end(settings)

    process.kill()
    process.communicate()
    left = state(database, settings)[0], tables(database, settings.projection)
    with pytest.raises(ProjectionHeld):
        await project(settings)
    await eventually(lambda: _free(settings), "the dead replay's lock is free")
    await replay_to_end(settings)

    assert left[0] == "rebuilding"
    assert left[1] != projected.expected()
    assert state(database, settings) == ("live", "")
    assert tables(database, settings.projection) == projected.expected()


def _free(settings: Settings) -> bool:
    with psycopg.connect(settings.postgres.dsn) as conn:
        row = conn.execute(query("replay_lock"), (settings.projection,)).fetchone()
        return bool(row and row[0])


async def test_a_replay_that_meets_a_broken_log_says_where_and_stays_rebuilding(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    end = await ends(settings)
    broker.send(settings, 1, [b"garbage"])

    with pytest.raises(ReplayIncomplete) as refused:
        await replay_to_end(settings)

    assert refused.value.where == f"topic {settings.topic}.1, partition 1, offset {end[1]}"
    assert isinstance(refused.value.__cause__, RecordRefused)
    assert state(database, settings)[0] == "rebuilding"
    await replay_to(settings, end)
    assert tables(database, settings.projection) == projected.expected()
