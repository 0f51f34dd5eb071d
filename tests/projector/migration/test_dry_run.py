"""A dry run: the same phases, and afterwards everything is byte for byte as it was."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projector.log import Log
from projector.migration.interface import StopAndCopyMigration, ZeroDowntimeMigration
from projector.migration.phases import PHASES
from projector.sql import query
from schemas.position import control_topic, kafka_topic
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import DEADLINE_S, Stage
from tests.projector.waiting import until

NAMES = [phase.name for phase in PHASES]


@pytest.fixture
def idle(make_stage: Callable[..., Stage]) -> Stage:
    """An app that writes nothing, and whose events are in the tables."""
    stage = make_stage()
    stage.project()
    last = stage.deposit("w-0")
    last.applied(DEADLINE_S)
    return stage


def database_as_it_is(dsn: str) -> dict[str, list[str]]:
    """Return every row of every table there is, system columns included."""
    with psycopg.connect(dsn) as conn:
        names = conn.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' "
            "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return {
            f"{schema}.{table}": sorted(
                str(row)
                for row in conn.execute(
                    sql.SQL("SELECT xmin::text, ctid::text, t::text FROM {} AS t").format(
                        sql.Identifier(schema, table)
                    )
                )
            )
            for schema, table in names
        }


def topics_as_they_are(settings: Settings) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        found = {}
        for topic in (kafka_topic(settings.topic, 1), control_topic(settings.topic)):
            async with Log(settings, topic) as log:
                found[topic] = await log.bounds()
        return found

    return asyncio.run(look())


def outbox_as_it_is(settings: Settings) -> dict[str, bytes]:
    path = settings.outbox_path
    files = [path, Path(f"{path}-wal")]
    assert all(file.exists() for file in files)
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("kind", [ZeroDowntimeMigration, StopAndCopyMigration])
def test_nothing_is_left_behind_and_what_a_run_would_do_is_said_in_order(
    idle: Stage, kind: type[ZeroDowntimeMigration]
) -> None:
    settings = idle.settings
    before = (
        database_as_it_is(settings.postgres.dsn),
        topics_as_they_are(settings),
        outbox_as_it_is(settings),
    )

    result = idle.migration(kind=kind).dry_run()

    assert database_as_it_is(settings.postgres.dsn) == before[0]
    assert topics_as_they_are(settings) == before[1]
    assert outbox_as_it_is(settings) == before[2]
    assert (result.state, result.reason, result.route) == ("planned", "", "memory")
    assert result.succeeded
    assert (result.phases, result.cutover_pause_ms, result.epoch) == ([], None, None)
    said = result.effects
    assert [line.rstrip(":") for line in said if line.rstrip(":") in NAMES] == NAMES
    mode = kind.mode.replace("_", " ")
    assert said[0] == f"begin a {mode} migration of {settings.projection!r}"
    assert said[-1] == "end: finished"
    for wanted in (
        "  take savepoint before-migration-dry-run",
        "  ask source app-1 for its catalog",
        "  ask source app-1 to record what the log does not hold yet",
        "  ask source app-1 to put a barrier into every partition",
        "  found: 4 rows in 2 tables are equal in log and tables",
        "  ANALYZE 2 tables",
        "  reads go to shadow",
        "  fence app-1 for at most 8000 ms, barriers with a higher epoch, reads go to postgres",
    ):
        assert wanted in said, wanted
    assert any("are equal in log and tables; quality " in line for line in said)
    held = "  hold writes of app-1 until the cutover, at most 20000 ms"
    assert (held in said) is (kind is StopAndCopyMigration)


def test_what_would_stand_in_the_way_is_found_and_named(idle: Stage) -> None:
    table = f"{idle.settings.projection}.accounts"
    with psycopg.connect(idle.settings.postgres.dsn) as conn:
        conn.execute(f"DELETE FROM {table} WHERE account = 'w-1'")

    result = idle.migration().dry_run()

    assert (result.state, result.succeeded) == ("planned", False)
    assert "tables: table accounts, key w-1 (stream account/w-1): missing" in result.reason
    assert "memferry audit" in result.next_step
    assert "VALIDATION:" in result.effects
    assert "CUTOVER:" not in result.effects


def test_a_missing_projector_is_found_at_once(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.project()
    stage.deposit("w-0").applied(DEADLINE_S)
    stage.stop_projecting()
    until(lambda: not projector_runs(stage), "the projector's lock to be free")

    result = stage.migration().dry_run()

    assert "no projector applies" in result.reason
    assert "memferry project" in result.next_step


def projector_runs(stage: Stage) -> bool:
    with psycopg.connect(stage.settings.postgres.dsn) as conn:
        row = conn.execute(query("projector_runs"), (stage.settings.projection,)).fetchone()
        return bool(row and row[0])


def test_an_empty_database_stays_empty(own_database: Settings) -> None:
    result = ZeroDowntimeMigration(own_database, DOMAIN).dry_run()

    assert database_as_it_is(own_database.postgres.dsn) == {}
    assert (result.state, result.route, result.succeeded) == ("planned", "memory", False)
    assert result.effects[:2] == [
        f"begin a zero downtime migration of {own_database.projection!r}", "PREPARING:"
    ]  # fmt: skip
    assert "no source is registered" in result.reason
    with psycopg.connect(own_database.postgres.dsn) as conn:
        assert conn.execute("SELECT to_regnamespace('memferry')").fetchone() == (None,)
