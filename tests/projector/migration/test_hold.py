"""Stop and copy: writes held for longer than a lease, by a run that lives; and no longer."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from projector.migration.fences import FenceBroken
from projector.migration.hold import Hold
from projector.migration.interface import StopAndCopyMigration
from projector.migration.progress import MigrationProgress
from tests.projector.migration.child import migrate, start
from tests.projector.migration.stage import DEADLINE_S, Stage, at, changed
from tests.projector.waiting import until

LEASE_MS = 1_500


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage(max_downtime_ms=LEASE_MS)
    stage.project()
    stage.write()
    return stage


def hold_of(conn: psycopg.Connection[Any], stage: Stage) -> tuple[str, str, int]:
    """Return the last hold: its state and reason, and how often it was renewed."""
    row = conn.execute(
        "SELECT state, reason, renewals FROM memferry.fence "
        "WHERE projection = %s AND purpose = 'hold' ORDER BY asked_at DESC LIMIT 1",
        (stage.settings.projection,),
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def written(stage: Stage) -> int:
    """Return how much the app has written, by its memory."""
    return int(sum(account.balance for account in stage.accounts.values()))


def test_writes_are_held_from_the_snapshot_to_the_cutover_for_longer_than_a_lease(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    seen: dict[str, int] = {}

    def watch(progress: MigrationProgress) -> None:
        if progress.phase not in seen:
            seen[progress.phase] = written(stage)
            if progress.phase == "VALIDATION":
                until(lambda: hold_of(database, stage)[2] >= 5, "more than a lease", DEADLINE_S)

    result = stage.migration(watch, StopAndCopyMigration).run()
    stage.wrote_on()
    stage.rest()

    assert (result.state, result.mode, result.route) == ("finished", "stop_and_copy", "postgres")
    held = ["INITIAL_MIGRATION", "SYNC_SETUP", "INCREMENTAL_SYNC", "VALIDATION",
            "CUTOVER_PREPARATION", "CUTOVER"]  # fmt: skip
    assert {seen[phase] for phase in held} == {seen["CUTOVER"]}
    assert hold_of(database, stage)[0] == "released"
    assert result.cutover_pause_ms is not None
    assert result.cutover_pause_ms > LEASE_MS
    stage.require_nothing_lost()


def test_a_run_killed_while_it_holds_writes_lets_them_go_on_within_a_lease(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    process = start(stop_and_copy, stage.settings)
    process.join(DEADLINE_S)

    until(lambda: hold_of(database, stage)[0] == "aborted", "the app's own word", DEADLINE_S)
    stage.wrote_on()
    reason = hold_of(database, stage)[1]
    result = stage.migration().run()

    assert process.exitcode == -signal.SIGKILL
    assert reason.startswith("the lease of source 'app-1' ended after")
    assert (result.state, result.mode) == ("finished", "stop_and_copy")
    stage.rest()
    stage.require_nothing_lost()


def stop_and_copy(settings: Any) -> None:
    migrate(settings, "INITIAL_MIGRATION.work", stop_and_copy=True)


def test_a_hold_that_ended_on_the_way_closes_the_gate_before_the_cutover(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    def end_it() -> None:
        database.execute(
            "UPDATE memferry.fence SET state = 'aborted', reason = 'by hand' "
            "WHERE projection = %s AND state = 'asked'",
            (stage.settings.projection,),
        )
        until(lambda: "memferry-hold" not in names(), "the renewing thread to see it", DEADLINE_S)

    result = stage.migration(at("CUTOVER_PREPARATION", end_it), StopAndCopyMigration).run()
    stage.wrote_on()

    assert (result.state, result.route) == ("undone", "memory")
    assert result.phases[-1].phase == "CUTOVER_PREPARATION"
    assert "writes were not held to the end: the lease ended" in result.reason


def test_writers_are_held_for_no_longer_than_the_migrations_own_time(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    hold = Hold(changed(stage.settings, timeout_ms=300), stage.settings.projection)
    until(lambda: projected(stage), "the control tables")

    hold.take(["app-1"])
    until(lambda: "memferry-hold" not in names(), "the hold's end", DEADLINE_S)
    stage.wrote_on()

    with pytest.raises(FenceBroken, match=r"held for 300 ms \(`migration.timeout_ms`\)"):
        hold.require_unbroken()
    assert hold_of(database, stage)[0] == "aborted"
    hold.release()


def test_a_run_that_fails_lets_its_writers_go_on(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    def cut() -> None:
        database.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE application_name = 'memferry migrate'"
        )

    with pytest.raises(psycopg.OperationalError):
        stage.migration(at("SYNC_SETUP", cut), StopAndCopyMigration).run()

    assert "memferry-hold" not in names()
    assert hold_of(database, stage)[0] != "asked"
    stage.wrote_on()


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def projected(stage: Stage) -> bool:
    with psycopg.connect(stage.settings.postgres.dsn) as conn:
        row = conn.execute("SELECT to_regclass('memferry.fence')").fetchone()
        return bool(row and row[0])
