from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.kept_digests import Kept, begin_keeping, kept_tables, read_kept
from projector.audit.run import audit
from projector.replay.replaying import replay
from projector.replay.runs import newest_run
from projector.replay.savepoints import checkpoint_position, take
from projector.replay.target import SavepointUnknown, Target
from schemas.position import PositionInvalid
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, project
from tests.projector.replay.conftest import middle, state
from tests.projector.replaying import replay_to, replay_to_end
from tests.projector.segments import lanes_in, offsets_in


async def test_a_position_in_the_past_is_reached_and_held(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    position = await middle(settings)
    beside = msgspec.structs.replace(settings, projection=f"{settings.projection}_b")
    await project(beside, position)

    reached = await replay_to(settings, position)

    text = ",".join(f"{p}:{o}" for p, o in position.items())
    assert (reached.position, reached.state) == (text, "held")
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

    await replay(settings, DOMAIN, Target(savepoint="before"), way="in_place")
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


async def test_digests_that_a_dead_migration_left_to_be_kept_end_with_a_replay(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    begin_keeping(database, settings.projection, DOMAIN)

    await replay_to_end(settings)

    assert kept_tables(database, settings.projection) == set()
    assert read_kept(database, settings.projection) == Kept({}, frozenset())
    assert tables(database, settings.projection) == projected.expected()


async def test_a_replay_to_the_beginning_leaves_empty_tables_and_no_lanes(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await replay_to(settings, {0: 0, 1: 0, 2: 0})

    assert tables(database, settings.projection) == {"accounts": set(), "readings": set()}
    assert lanes_in(database, settings.projection) == {}


WRONG_OFFSETS = {
    "0:1000000,1:0,2:0": "the nearest position is --to-offset 0:",
    "0:0,1:0": "write every partition",
    "0:0,1:0,2:0,3:0": "write every partition",
    "0:0,1:0,1:0": "write every partition",
    "0:-1,1:0,2:0": "write every partition",
    "yesterday": "write every partition",
    "": "write every partition",
}


async def test_a_target_that_is_wrong_is_refused_before_anything_changes(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    for wanted, said in WRONG_OFFSETS.items():
        with pytest.raises(PositionInvalid) as refused:
            await replay(settings, DOMAIN, Target(offset=wanted), way="in_place")
        assert said in refused.value.remedy, wanted
    with pytest.raises(SavepointUnknown) as unknown:
        await replay(settings, DOMAIN, Target(savepoint="nowhere"), way="in_place")

    assert unknown.value.remedy == "savepoints: none was taken yet"
    assert state(database, settings) == ("live", "")
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
    name, run = settings.projection, newest_run(database, settings.projection)
    assert run is not None
    assert noted == [
        ("replay started", {"state": "live", "position": end},
         {"projection": name, "target": "0:1,1:2,2:3", "run": run.id, **run.plan}),
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
