"""Replay in tables beside, which take the place of the live ones."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from projector.audit.run import audit
from projector.replay.beside import beside_of, drop
from projector.replay.rebuild import ReplayIncomplete
from projector.replay.replaying import replay
from projector.replay.runs import newest_run
from projector.replay.savepoint_tables import kept_at
from projector.replay.savepoints import list_all, take
from projector.replay.surroundings import SwapRefused
from projector.replay.target import Target
from projector.replay.undoing import NothingKept, release_kept, undo_swap
from schemas.position import format_offsets
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.replay.conftest import middle, state
from tests.projector.replaying import replay_to, replay_to_end
from tests.projector.segments import lanes_in, offsets_in

Connection = psycopg.Connection[Any]


@pytest.fixture
def live(projected: App, settings: Settings, database: Connection) -> Iterator[App]:
    """The app, all of which is in the tables; what stands beside is dropped at the end."""
    yield projected
    for one in beside_of(database, settings.projection):
        drop(database, one.name)


async def test_a_position_in_the_past_is_swapped_in_and_the_old_tables_are_kept(
    live: App, settings: Settings, database: Connection
) -> None:
    position, before = await middle(settings), offsets_in(database, settings.projection)

    done = await replay_to(settings, position, "swap")

    text = format_offsets(position)
    assert (done.position, done.before, done.state) == (text, format_offsets(before), "held")
    assert state(database, settings) == ("held", f"replayed to {text}")
    assert tables(database, done.kept) == live.expected()
    assert tables(database, settings.projection) != live.expected()
    result = await audit(settings, DOMAIN, with_memory=False)
    assert (result.all_equal, result.position) == (True, text)
    assert [one.purpose for one in beside_of(database, settings.projection)] == ["swapped"]


async def test_tables_swapped_and_made_in_place_are_equal(
    live: App, settings: Settings, database: Connection
) -> None:
    position = await middle(settings)

    await replay_to(settings, position, "swap")
    swapped = tables(database, settings.projection), lanes_in(database, settings.projection)
    await replay_to(settings, position, "in_place")

    assert (
        tables(database, settings.projection),
        lanes_in(database, settings.projection),
    ) == swapped


async def test_from_the_end_it_goes_on_while_the_app_records(
    live: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    database.execute(
        sql.SQL("UPDATE {}.accounts SET owner = 'forged'").format(
            sql.Identifier(settings.projection)
        )
    )
    sent = len(live.rows())

    async with projecting(settings) as projector:
        replaying = asyncio.create_task(replay_to_end(settings, "swap"))
        for number in range(30):
            live.open(f"late-{number}")
            rows = live.rows()
            await asyncio.to_thread(broker.publish, settings, rows[sent:])
            sent = len(rows)
        done = await replaying
        await eventually(
            lambda: tables(database, settings.projection) == live.expected(), "all is in the tables"
        )
        assert projector.progress.stopped == {}

    assert done.state == "live"
    assert state(database, settings) == ("live", "")
    assert done.kept


async def test_a_swap_is_undone_in_one_step_and_again(
    live: App, settings: Settings, database: Connection
) -> None:
    position = await middle(settings)
    await replay_to(settings, position, "swap")
    there = tables(database, settings.projection)

    undone = await undo_swap(settings, DOMAIN)

    assert undone.state == "live"
    assert tables(database, settings.projection) == live.expected()
    again = await undo_swap(settings, DOMAIN)
    assert (again.state, tables(database, settings.projection)) == ("held", there)
    assert state(database, settings) == ("held", f"replayed to {format_offsets(position)}")


async def test_kept_tables_are_released_and_then_there_is_nothing_to_undo(
    live: App, settings: Settings, database: Connection
) -> None:
    first = await replay_to_end(settings, "swap")
    second = await replay_to_end(settings, "swap")

    assert await release_kept(settings, DOMAIN) == [first.kept, second.kept]

    assert beside_of(database, settings.projection) == []
    with pytest.raises(NothingKept):
        await undo_swap(settings, DOMAIN)
    assert tables(database, settings.projection) == live.expected()


async def test_a_savepoint_near_is_where_it_begins(
    live: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    taken = await take(database, settings, settings.projection, "s", keep=DOMAIN)
    kept = kept_at(database, settings.projection, "s")
    sent = len(live.rows())
    live.open("late")
    broker.publish(settings, live.rows()[sent:])
    later = await ends(settings)
    await project(settings)
    applied: list[int] = []

    done = await replay(
        settings, DOMAIN, Target(offset=format_offsets(later)),
        on_progress=lambda progress: applied.append(progress.applied),
    )  # fmt: skip

    assert done.kept == kept  # its tables are the live ones now
    assert max(applied) == 1
    assert taken.offsets != later
    (point,) = list_all(database, settings.projection)
    assert point.tables == "used"
    assert tables(database, settings.projection) == live.expected()


async def test_a_savepoint_behind_the_position_or_of_other_code_is_left_alone(
    live: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "late", keep=DOMAIN)
    late = kept_at(database, settings.projection, "late")
    assert late is not None
    database.execute(
        "UPDATE memferry.fingerprint SET fingerprint = 'x',"
        """ parts = '{"tables": "x"}' WHERE projection = %s""",
        (late,),
    )

    await replay_to(settings, await middle(settings), "swap")
    await replay_to_end(settings, "swap")

    assert tables(database, settings.projection) == live.expected()
    kept = {one.name: one.purpose for one in beside_of(database, settings.projection)}
    assert kept[late] == "savepoint"


async def test_what_cannot_be_swapped_is_refused_before_anything_is_made(
    live: App, settings: Settings, database: Connection
) -> None:
    view = sql.Identifier(f"v_{settings.projection}")
    accounts = sql.Identifier(settings.projection, "accounts")
    database.execute(sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, accounts))

    with pytest.raises(SwapRefused):
        await replay_to_end(settings, "swap")
    database.execute(sql.SQL("DROP VIEW {}").format(view))

    assert newest_run(database, settings.projection) is None
    assert beside_of(database, settings.projection) == []


async def test_a_broken_log_leaves_the_live_tables_as_they_are(
    live: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    end = await ends(settings)
    broker.send(settings, 1, [b"garbage"])

    with pytest.raises(ReplayIncomplete, match=f"offset {end[1]}"):
        await replay_to_end(settings, "swap")

    run = newest_run(database, settings.projection)
    assert run is not None
    assert run.state == "undone"
    assert state(database, settings) == ("live", "")
    assert tables(database, settings.projection) == live.expected()
    assert beside_of(database, settings.projection) == []


SWAP = """
import asyncio, os, signal, sys
import msgspec
from projector.replay import exchange, replaying, swapping
from projector.replay.replaying import replay
from projector.replay.target import Target
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
settings = msgspec.json.decode(sys.argv[1], type=Settings)
moment = sys.argv[2]
if moment == "built":
    replaying.swap = replaying.swap_following = die
elif moment == "rows moved":
    swapping.end_run = die
elif moment == "locked":
    exchange._Swap.move_schemas = die
elif moment == "moved":
    real = exchange._Swap.move_schemas
    exchange._Swap.move_schemas = lambda swap: (real(swap), die())
asyncio.run(replay(settings, DOMAIN, Target(offset=sys.argv[3])))
"""


@pytest.mark.parametrize("moment", ["built", "rows moved", "locked", "moved"])
async def test_a_swap_killed_anywhere_is_undone_and_its_tables_are_used_by_the_next(
    live: App, settings: Settings, database: Connection, moment: str
) -> None:
    position = format_offsets(await middle(settings))
    arguments = [msgspec.json.encode(settings).decode(), moment, position]
    command, place = [sys.executable, "-c", SWAP, *arguments], Path(__file__).parents[3]
    killed = await asyncio.to_thread(subprocess.run, command, cwd=place, check=False)
    assert killed.returncode == -9
    left = [one.name for one in beside_of(database, settings.projection, "shadow")]
    assert len(left) == 1
    assert tables(database, settings.projection) == live.expected()
    dead = newest_run(database, settings.projection)
    await eventually(lambda: _alone(database, settings), "the dead run's connection has ended")

    done = await replay(settings, DOMAIN, Target(offset=position))

    assert done.kept == left[0]
    assert dead is not None
    assert _state_of(database, dead.id) == "undone"
    assert state(database, settings)[0] == "held"
    result = await audit(settings, DOMAIN, with_memory=False)
    assert result.all_equal


def _alone(conn: Connection, settings: Settings) -> bool:
    row = conn.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('memferry replay ' || %s, 0))",
        (settings.projection,),
    ).fetchone()
    return bool(row and row[0])


def _state_of(conn: Connection, run: str) -> str:
    row = conn.execute("SELECT state FROM memferry.replay WHERE id = %s", (run,)).fetchone()
    return str(row[0]) if row else ""
