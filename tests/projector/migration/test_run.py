"""One run at a time: a second one is told who runs; one that lost its turn changes nothing."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from projector.migration.record import MigrationInProgress, newest
from projector.migration.result import MigrationResult
from projector.replay.target import Target
from tests.projector.migration.stage import Paused, Stage


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage()
    stage.project()
    return stage


def history(conn: psycopg.Connection[Any], stage: Stage) -> list[Any]:
    """Return everything that a run may change in the control tables."""
    name = stage.settings.projection
    found: list[Any] = []
    for table in ("route", "fence", "migration"):
        where = "projection = %s"
        rows = conn.execute(f"SELECT * FROM memferry.{table} WHERE {where} ORDER BY 1", (name,))
        found.append(rows.fetchall())
    found.append(conn.execute("SELECT * FROM memferry.migration_phase ORDER BY 1, 2").fetchall())
    found.append(conn.execute("SELECT * FROM memferry.trail ORDER BY id").fetchall())
    found.append(conn.execute("SELECT * FROM memferry.decision ORDER BY 1, 2").fetchall())
    return found


def test_whoever_comes_while_a_run_is_on_is_told_who_runs_since_when_in_which_phase(
    stage: Stage, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projector.migration.record._LOCK_WAIT_S", 0.1)
    first = Paused(stage, "VALIDATION")
    migration = stage.migration()
    others: list[Callable[[], object]] = [
        migration.run,
        migration.switch_back,
        migration.resume,
        lambda: migration.rollback(Target(offset="0:0,1:0,2:0")),
    ]

    before = history(database, stage)
    refusals = []
    for other in others:
        with pytest.raises(MigrationInProgress) as refused:
            other()
        refusals.append(refused.value)
    after = history(database, stage)
    running = newest(database, stage.settings.projection)
    seen = migration.status().migration
    result = first.go()

    assert running is not None
    assert seen == running
    for refusal in refusals:
        assert refusal.what == (
            f"{running.holder} runs a zero downtime migration of projection "
            f"{stage.settings.projection!r} since {running.started_at:%Y-%m-%d %H:%M:%S}; it is in "
            f"phase VALIDATION since {running.phase_since:%H:%M:%S}"
        )
        assert "memferry status" in refusal.remedy
    assert after == before
    assert isinstance(result, MigrationResult)
    assert result.state == "finished"


def test_a_run_whose_connection_was_cut_changes_nothing_once_another_took_over(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    zombie = Paused(stage, "CUTOVER")
    database.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name = 'memferry migrate'"
    )

    result = stage.migration().run()
    before = history(database, stage)
    ended = zombie.go()

    assert (result.state, result.route) == ("finished", "postgres")
    assert [p.outcome for p in result.phases if p.phase == "CUTOVER"] == ["interrupted", "passed"]
    assert isinstance(ended, psycopg.OperationalError)
    assert history(database, stage) == before
    stage.require_nothing_lost()
