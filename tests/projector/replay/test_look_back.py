"""Look back and forward again: the tables alone, while the app goes on."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from projector.audit.run import audit
from projector.control_tables import read_projection, set_state
from projector.replay.look_back import NotHeld
from projector.replay.replaying import replay
from projector.replay.target import SavepointUnknown, Target
from projector.route import ReadsInPostgres
from projector.trail import first_broken
from schemas.position import PositionInvalid, format_offsets
from schemas.settings import Migration, Reads, Settings
from tests.domains.ledger import DOMAIN, AccountOpened
from tests.projector.migration.stage import DEADLINE_S, OPENED, WRITTEN, Stage
from tests.projector.segments import offsets_in


@pytest.fixture
def stage(make_settings: Callable[..., Settings]) -> Iterator[Stage]:
    """An idle app, all of which is in the log, with a projector."""
    patient = Migration(max_downtime_ms=8_000, timeout_ms=20_000)
    stage = Stage(make_settings(migration=patient, reads=Reads(timeout_ms=30_000)))
    stage.project()
    stage.ferry.snapshot()
    assert stage.ferry.snapshot_done.wait(DEADLINE_S)
    stage.deposit("w-0").applied(DEADLINE_S)
    yield stage
    stage.close()


def rows(conn: psycopg.Connection[Any], stage: Stage) -> set[tuple[Any, ...]]:
    name = stage.settings.projection
    return set(conn.execute(f"SELECT account, balance FROM {name}.accounts").fetchall())


def settle(stage: Stage) -> None:
    """Everything recorded is in the tables."""
    for name in WRITTEN:
        stage.deposit(name).applied(DEADLINE_S)


def test_the_tables_go_back_and_hold_while_the_app_goes_on_and_then_catch_up(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    name, migration = stage.settings.projection, stage.migration()
    settle(stage)
    early, there = offsets_in(database, name), rows(database, stage)
    stage.ferry.record(AccountOpened("new", "Ada", OPENED)).applied(DEADLINE_S)
    settle(stage)
    before = offsets_in(database, name)

    looked = migration.rollback(Target(offset=format_offsets(early)))
    held = read_projection(database, name).state, rows(database, stage)
    stage.write()
    stage.wrote_on()
    meanwhile = asyncio.run(audit(stage.settings, DOMAIN, timeout_s=DEADLINE_S))
    resumed = migration.resume(timeout_s=DEADLINE_S)
    stage.rest()

    assert (looked.before, looked.position) == (format_offsets(before), format_offsets(early))
    assert looked.set_aside == sum(before.values()) - sum(early.values()) > 0
    assert looked.rows_before == {"accounts": 15, "readings": 3}
    assert looked.rows == {"accounts": 14, "readings": 3}
    assert held == ("held", there)
    assert meanwhile.all_equal, meanwhile.findings
    assert meanwhile.position == format_offsets(early)
    assert resumed.position == format_offsets(early)
    assert resumed.behind >= looked.set_aside
    assert resumed.caught_up
    assert first_broken(database) is None
    stage.require_nothing_lost()


def test_a_savepoint_of_the_migration_is_a_place_to_look_back_to(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    migration = stage.migration()
    result = migration.run()
    migration.switch_back()
    stage.deposit("old-1").applied(DEADLINE_S)

    looked = migration.rollback(Target(savepoint=result.savepoints[0]))
    resumed = migration.resume(timeout_s=DEADLINE_S)

    points = {p.name: format_offsets(p.offsets) for p in migration.status().savepoints}
    assert looked.position == points[result.savepoints[0]]
    assert (resumed.position, resumed.caught_up) == (looked.position, True)
    stage.require_nothing_lost()


def test_tables_that_are_read_are_not_emptied(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    name, migration = stage.settings.projection, stage.migration()
    assert migration.run().state == "finished"
    before = rows(database, stage)

    with pytest.raises(ReadsInPostgres, match="go to PostgreSQL"):
        migration.rollback(Target(offset="0:0,1:0,2:0"))
    with pytest.raises(ReadsInPostgres, match="go to PostgreSQL"):
        asyncio.run(replay(stage.settings, DOMAIN, Target(offset="0:0,1:0,2:0")))

    assert read_projection(database, name).state == "live"
    assert rows(database, stage) == before
    stage.require_nothing_lost()


def test_a_wrong_target_and_a_projection_that_holds_nowhere_change_nothing(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    name, migration = stage.settings.projection, stage.migration()
    before = rows(database, stage)

    with pytest.raises(PositionInvalid):
        migration.rollback(Target(offset="0:0"))
    with pytest.raises(SavepointUnknown, match="nowhere"):
        migration.rollback(Target(savepoint="nowhere"))
    with pytest.raises(NotHeld, match="is live, it does not hold") as refused:
        migration.resume()

    assert "goes on already" in refused.value.remedy
    assert read_projection(database, name).state == "live"
    assert rows(database, stage) == before


def test_a_projection_without_a_projector_has_not_caught_up(stage: Stage) -> None:
    migration = stage.migration()
    migration.rollback(Target(offset="0:0,1:0,2:0"))
    stage.stop_projecting()

    resumed = migration.resume(timeout_s=0.3)

    assert not resumed.caught_up
    assert resumed.behind > 0
    assert migration.status().state == "live"


def test_a_replay_that_was_cut_short_is_not_resumed(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    set_state(database, stage.settings.projection, "rebuilding", "replay to 0:1")

    with pytest.raises(NotHeld, match="is rebuilding") as refused:
        stage.migration().resume()

    assert "memferry replay --to-end" in refused.value.remedy
