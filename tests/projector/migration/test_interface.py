"""The verbs of the migration, one after another, while an app writes."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from projector.migration.interface import (
    AlreadyMigrated,
    EventLoopRuns,
    MemoryDiffers,
    NothingToSwitch,
    ZeroDowntimeMigration,
)
from projector.migration.phases import PHASES
from projector.migration.progress import MigrationProgress
from projector.trail import first_broken
from schemas.settings import Settings
from tests.projector.migration.stage import Stage
from tests.projector.waiting import until

NAMES = [phase.name for phase in PHASES]


def trail(conn: psycopg.Connection[Any], migration: str) -> list[tuple[str, Any]]:
    """Return what the trail says of a migration: action, and the phase or outcome."""
    return [
        (action, after.get("phase") or after.get("outcome"))
        for action, after in conn.execute(
            "SELECT action, after FROM memferry.trail WHERE after ->> 'id' = %s ORDER BY id",
            (migration,),
        )
    ]


def test_a_migration_goes_there_and_back_and_there_again_while_the_app_writes(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    told: list[MigrationProgress] = []

    there = stage.migration(watcher=told.append).run()
    assert there.state == "finished", there.phases
    stage.wrote_on()
    with pytest.raises(AlreadyMigrated, match="in PostgreSQL already"):
        stage.migration().run()
    read = stage.ferry.reader("account").get("old-7")
    back = stage.migration().switch_back()
    stage.wrote_on()
    with pytest.raises(NothingToSwitch, match="in memory already"):
        stage.migration().switch_back()
    again = stage.migration().run()
    stage.rest()

    assert (there.reason, there.route, there.mode) == ("", "postgres", "zero_downtime")
    assert [(phase.phase, phase.outcome) for phase in there.phases] == [
        (name, "passed") for name in NAMES
    ]
    assert (there.sources, there.effects) == (["app-1"], [])
    assert there.cutover_pause_ms is not None
    assert there.fence_ms is not None
    assert 0 < there.cutover_pause_ms <= stage.settings.migration.max_downtime_ms
    assert there.fence_ms > 0
    assert there.audit is not None
    assert there.audit.passed
    assert there.audit.source == "memory, log and tables"
    assert there.validation is not None
    assert there.validation.passed
    assert list(dict.fromkeys(progress.phase for progress in told)) == NAMES
    assert next((p.number, p.phases) for p in told if p.phase == "CUTOVER") == (8, 10)
    assert len(there.savepoints) == 3
    assert read == stage.accounts["old-7"]
    assert (back.route, again.route, again.state) == ("memory", "postgres", "finished")
    assert there.epoch is not None
    assert again.epoch is not None
    assert 1 < there.epoch < back.epoch < again.epoch
    entries: list[tuple[str, str | None]] = [("migration begun", None)]
    for name in NAMES:
        entries += [("phase entered", name), ("phase left", "passed")]
    assert trail(database, there.migration) == [*entries, ("migration finished", None)]
    assert first_broken(database) is None
    switched = database.execute(
        "SELECT after ->> 'route' FROM memferry.trail WHERE action = 'reads switched' "
        "AND after ->> 'projection' = %s ORDER BY id",
        (stage.settings.projection,),
    ).fetchall()
    routes = [route for (route,) in switched]
    assert routes == ["shadow", "postgres", "memory", "shadow", "postgres"]
    stage.require_nothing_lost()


def test_a_method_that_would_block_an_event_loop_says_so(settings: Settings) -> None:
    migration = ZeroDowntimeMigration(settings)

    async def inside() -> None:
        migration.run()

    with pytest.raises(EventLoopRuns, match="an event loop runs in this thread") as refused:
        asyncio.run(inside())

    assert "asyncio.to_thread" in refused.value.remedy


def test_a_memory_that_differs_is_no_place_to_go_back_to(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.project()
    assert stage.migration().run().state == "finished"
    true = stage.accounts["old-5"]
    stage.accounts["old-5"] = msgspec.structs.replace(true, owner="Mallory")

    with pytest.raises(MemoryDiffers) as refused:
        stage.migration().switch_back()
    still = stage.migration().status().route.route
    all_the_same = stage.migration().switch_back(without_audit=True)

    assert "memory: table accounts, key old-5" in refused.value.what
    assert "--without-audit" in refused.value.remedy
    assert (still, all_the_same.route) == ("postgres", "memory")


def test_what_the_running_apps_hold_is_told(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.project()
    until(lambda: known(stage), "the control tables")

    (catalog,) = stage.migration().extract()

    found = {
        store.kind: (store.streams, store.entities, store.windowed) for store in catalog.stores
    }
    assert (catalog.source, catalog.unregistered) == ("app-1", [])
    assert found == {"account": (14, 14, False), "reading": (1, 3, True)}
    assert {store.kind: store.unrecorded for store in catalog.stores} == {
        "account": 10, "reading": 1
    }  # fmt: skip


def known(stage: Stage) -> bool:
    with psycopg.connect(stage.settings.postgres.dsn) as conn:
        row = conn.execute("SELECT to_regclass('memferry.source')").fetchone()
        return bool(row and row[0])
