import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.run import audit
from projector.checkpoint import Fenced, ProjectionHeld
from projector.control_tables import State, read_projection
from projector.lanes import RecordRefused
from projector.replay.in_place import ReplayIncomplete, ReplayInProgress, replay
from projector.replay.savepoints import checkpoint_position, take
from projector.replay.target import SavepointUnknown, savepoint_offsets
from projector.sql import query
from schemas.position import PositionInvalid, parse_offsets
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.segments import Worker, lanes_in, offsets_in

Bounds = dict[int, tuple[int, int]]


@pytest.fixture
async def projected(app: App, broker: Broker, topic: Settings) -> App:
    """An app whose whole history is in the tables."""
    for number in range(40):
        app.open(f"acc-{number}", tags={"n": str(number)})
        app.deposit(f"acc-{number}", number)
        app.read(f"meter-{number % 5}", number)
        if number % 4 == 0:
            app.end(f"acc-{number}")
    broker.publish(topic, app.rows())
    await project(topic)
    return app


async def replay_to(
    settings: Settings, position: Mapping[int, int], after: State = "held"
) -> dict[int, int]:
    return await replay(settings, DOMAIN, lambda conn, bounds: position, after)


async def replay_to_end(settings: Settings) -> dict[int, int]:
    return await replay(
        settings, DOMAIN, lambda conn, bounds: {p: end for p, (_, end) in bounds.items()}, "live"
    )


def state(conn: psycopg.Connection[Any], settings: Settings) -> tuple[str, str]:
    found = read_projection(conn, settings.projection)
    return found.state, found.reason


async def middle(settings: Settings) -> dict[int, int]:
    return {partition: end // 2 for partition, end in (await ends(settings)).items()}


async def test_a_position_in_the_past_is_reached_and_held(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    position = await middle(settings)
    beside = msgspec.structs.replace(settings, projection=f"{settings.projection}_b")
    await project(beside, position)

    reached = await replay_to(settings, position)

    assert reached == position
    text = ",".join(f"{p}:{o}" for p, o in position.items())
    assert state(database, settings) == ("held", f"replayed to {text}")
    assert checkpoint_position(database, settings.projection).offsets == position
    assert tables(database, settings.projection) == tables(database, beside.projection)
    assert tables(database, settings.projection) != projected.expected()
    result = await audit(settings, DOMAIN, with_memory=False)
    assert (result.all_equal, result.position) == (True, text)


@pytest.mark.parametrize("share", [0, 1, 3])
async def test_the_tables_equal_the_fold_of_the_log_wherever_it_goes(
    projected: App, settings: Settings, share: int
) -> None:
    end = await ends(settings)

    await replay_to(settings, {p: offset * share // 4 + share % 2 for p, offset in end.items()})

    result = await audit(settings, DOMAIN, with_memory=False)
    assert result.all_equal, result.findings


async def test_back_to_a_savepoint_and_forward_to_the_end(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    before, count = tables(database, settings.projection), len(projected.rows())
    taken = await take(database, settings, settings.projection, "before")
    projected.open("late")
    projected.deposit("acc-1", 100)
    broker.publish(settings, projected.rows()[count:])
    await project(settings)

    await replay(
        settings,
        DOMAIN,
        lambda conn, bounds: savepoint_offsets(conn, settings.projection, "before"),
        "held",
    )
    there = tables(database, settings.projection), offsets_in(database, settings.projection)
    await replay_to_end(settings)

    assert there == (before, taken.offsets)
    assert tables(database, settings.projection) == projected.expected()
    assert state(database, settings) == ("live", "")
    assert (await project(settings)).stopped == {}


async def test_rows_that_nobody_recorded_are_gone_after_a_replay(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        f"UPDATE {settings.projection}.accounts SET balance = 7; "
        f"INSERT INTO {settings.projection}.readings VALUES ('forged', 1, 1)"
    )

    await replay_to_end(settings)

    assert tables(database, settings.projection) == projected.expected()


async def test_a_replay_to_the_beginning_leaves_empty_tables_and_no_lanes(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await replay_to(settings, {0: 0, 1: 0, 2: 0})

    assert tables(database, settings.projection) == {"accounts": set(), "readings": set()}
    assert lanes_in(database, settings.projection) == {}


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


def _claimed(conn: psycopg.Connection[Any], settings: Settings) -> bool:
    claimed = "SELECT FROM memferry.checkpoint WHERE projection = %s AND term > 1"
    return conn.execute(claimed, (settings.projection,)).fetchone() is not None


def _waiting(conn: psycopg.Connection[Any], settings: Settings) -> bool:
    waiting = f"memferry projector {settings.projection} waiting"
    found = conn.execute("SELECT FROM pg_stat_activity WHERE application_name = %s", (waiting,))
    return found.fetchone() is not None


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


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ("0:1000000,1:0,2:0", PositionInvalid, "the nearest position is --to-offset 0:"),
        ("0:0,1:0", PositionInvalid, "write every partition"),
        ("0:0,1:0,2:0,3:0", PositionInvalid, "write every partition"),
        ("0:0,1:0,1:0", PositionInvalid, "write every partition"),
        ("0:-1,1:0,2:0", PositionInvalid, "write every partition"),
        ("yesterday", PositionInvalid, "write every partition"),
        ("", PositionInvalid, "write every partition"),
        ("nowhere", SavepointUnknown, "savepoints: none was taken yet"),
    ],
)
async def test_a_target_that_is_wrong_is_refused_before_anything_changes(
    projected: App,
    settings: Settings,
    database: psycopg.Connection[Any],
    wanted: str,
    error: type[PositionInvalid | SavepointUnknown],
    said: str,
) -> None:
    def resolve(conn: psycopg.Connection[Any], bounds: Bounds) -> Mapping[int, int]:
        if error is SavepointUnknown:
            return savepoint_offsets(conn, settings.projection, wanted)
        return parse_offsets(wanted, len(bounds))

    with pytest.raises(error) as refused:
        await replay(settings, DOMAIN, resolve, "held")

    assert said in refused.value.remedy
    assert state(database, settings) == ("live", "")
    assert tables(database, settings.projection) == projected.expected()


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
from projector.replay.in_place import replay
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
def look(progress):
    print(progress.applied, flush=True)
    sys.stdin.read()
settings = msgspec.json.decode(sys.argv[1], type=Settings)
end = lambda conn, bounds: {p: end for p, (_, end) in bounds.items()}
asyncio.run(replay(settings, DOMAIN, end, "live", look))
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
    await replay_to(settings, end, "live")
    assert tables(database, settings.projection) == projected.expected()


async def test_a_replay_is_in_the_trail_with_where_it_came_from(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    end = ",".join(f"{p}:{o}" for p, o in (await ends(settings)).items())

    await replay_to(settings, {0: 1, 1: 2, 2: 3})

    noted = database.execute(
        "SELECT action, before, after FROM memferry.trail WHERE after ->> 'projection' = %s "
        "ORDER BY id",
        (settings.projection,),
    ).fetchall()
    name = settings.projection
    assert noted == [
        ("replay started", {"state": "live", "position": end},
         {"projection": name, "target": "0:1,1:2,2:3"}),
        ("replay finished", {"state": "rebuilding"},
         {"projection": name, "position": "0:1,1:2,2:3", "state": "held"}),
    ]  # fmt: skip


async def test_a_projection_that_was_never_projected_can_be_replayed(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open("a", "b")
    broker.publish(topic, app.rows())

    await replay_to_end(topic)

    assert tables(database, topic.projection) == app.expected()
