"""Each gate closed for a reason, and everything undone; then the run that finds all well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from projector.control_tables import set_state
from projector.migration.interface import NothingToSwitch, ZeroDowntimeMigration
from projector.migration.result import MigrationResult
from projector.route import read_route
from schemas.control import SnapshotCompleted
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import DEADLINE_S, Projecting, Stage, at


def closed_in(result: MigrationResult) -> str:
    """Return the phase whose gate was closed; everything must be undone."""
    assert (result.state, result.route) == ("undone", "memory")
    assert not result.succeeded
    assert result.reason
    assert result.next_step
    last = result.phases[-1]
    assert last.detail == result.reason or last.detail in result.reason
    assert [p.outcome for p in result.phases[:-1]] == ["passed"] * (len(result.phases) - 1)
    return last.phase


@pytest.fixture(scope="module")
def trading(make_module_stage: Callable[[], Stage]) -> Iterator[Stage]:
    """One app for all gates, which lost nothing in the end."""
    stage = make_module_stage()
    yield stage
    assert stage.migration().run().state == "finished"
    stage.require_nothing_lost()


@pytest.fixture
def stage(trading: Stage) -> Iterator[Stage]:
    """It writes throughout; reads are in memory before and behind each test."""
    trading.write()
    yield trading
    trading.wrote_on()
    trading.rest()
    with pytest.raises(NothingToSwitch):
        trading.migration().switch_back()


def edit(stage: Stage, owner: str) -> None:
    """Change a row that no writer changes, behind everybody's back."""
    with psycopg.connect(stage.settings.postgres.dsn) as conn:
        changed = conn.execute(
            f"UPDATE {stage.settings.projection}.accounts SET owner = %s WHERE account = 'old-5'",
            (owner,),
        )
        assert changed.rowcount == 1


@contextmanager
def mended(stage: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        edit(stage, "Ada")


@pytest.mark.parametrize(
    ("phase", "found"),
    [
        ("VALIDATION", "tables: table accounts, key old-5"),
        ("CUTOVER_PREPARATION", "reads other values from the tables than from memory: "),
        ("POST_CUTOVER_VALIDATION", "reads other values from the tables: "),
    ],
)
def test_a_row_that_was_altered_before_a_phase_closes_its_gate(
    stage: Stage, database: psycopg.Connection[Any], phase: str, found: str
) -> None:
    routes: list[str] = []
    name = stage.settings.projection

    def alter() -> None:
        routes.append(read_route(database, name).route)
        edit(stage, "Mallory")

    with mended(stage):
        result = stage.migration(at(phase, alter)).run()

    assert closed_in(result) == phase
    assert found in result.reason
    went = "postgres" if phase == "POST_CUTOVER_VALIDATION" else "memory"
    assert routes == [went]
    assert read_route(database, name).route == "memory"
    assert stage.ferry.reads.route.now.route == "memory"


def test_a_projector_that_is_too_slow_breaks_every_attempt_and_holds_nobody(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    name = stage.settings.projection
    with psycopg.connect(stage.settings.postgres.dsn) as blocking:

        def stop_the_tables() -> None:
            rows = "SELECT FROM memferry.checkpoint WHERE projection = %s FOR UPDATE"
            blocking.execute(rows, (name,))

        result = stage.migration(
            at("CUTOVER", stop_the_tables), max_downtime_ms=400, cutover_attempts=2
        ).run()
        stage.wrote_on()

    assert closed_in(result) == "CUTOVER"
    assert "the cutover was aborted: not every writer was where it must be" in result.reason
    assert "app-1 fenced" in result.reason
    assert "waits for relay or projector" in result.next_step
    fences = database.execute(
        "SELECT f.state, f.noted, s.state FROM memferry.fence AS f "
        "JOIN memferry.fence_source AS s ON s.fence = f.id WHERE projection = %s "
        "ORDER BY asked_at DESC LIMIT 2",
        (name,),
    ).fetchall()
    assert fences == [("aborted", True, "opened")] * 2


def test_without_a_source_there_is_nothing_to_migrate(
    topic: Settings, make_run: Callable[..., MigrationResult]
) -> None:
    result = make_run(topic)

    assert closed_in(result) == "PREPARING"
    assert "no source is registered" in result.reason


def test_without_a_projector_it_says_what_to_start(
    make_stage: Callable[..., Stage], make_run: Callable[..., MigrationResult]
) -> None:
    stage = make_stage()

    result = make_run(stage.settings)

    assert closed_in(result) == "PREPARING"
    assert "no projector applies" in result.reason
    assert "memferry project" in result.next_step


def test_a_projection_that_is_held_is_left_alone(
    topic: Settings,
    database: psycopg.Connection[Any],
    projection: Any,
    make_run: Callable[..., MigrationResult],
) -> None:
    set_state(database, projection.name, "held", "replayed to 0:1,1:1,2:1")

    result = make_run(topic)

    assert closed_in(result) == "PREPARING"
    assert "is held: replayed to 0:1,1:1,2:1" in result.reason
    assert "memferry resume" in result.next_step


def test_a_source_whose_app_is_gone_is_named(
    make_stage: Callable[..., Stage], make_run: Callable[..., MigrationResult]
) -> None:
    stage = make_stage()
    stage.project()
    stage.ferry.close()

    result = make_run(stage.settings)

    assert closed_in(result) == "EXTRACTING_SNAPSHOT"
    assert "source 'app-1' did not answer: no answer in time" in result.reason
    assert "start the app" in result.next_step


def test_an_entity_that_may_not_reach_the_log_stops_the_first_snapshot(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage()
    stage.project()
    bad = msgspec.structs.replace(stage.accounts["old-5"], account="bad", balance=Decimal("NaN"))
    stage.accounts["bad"] = bad

    result = stage.migration().run()

    assert closed_in(result) == "INITIAL_MIGRATION"
    assert "the first snapshot of source 'app-1' stopped" in result.reason


def test_an_app_that_registered_nothing_is_told_to(
    make_settings: Callable[..., Settings], make_run: Callable[..., MigrationResult]
) -> None:
    settings = make_settings()
    ferry = eventlog.attach(settings)
    projector = Projecting(settings)
    try:
        ferry.record_control(SnapshotCompleted("app-1", 0, 0)).replicated(DEADLINE_S)
        result = make_run(settings)
    finally:
        projector.stop()
        ferry.close()

    assert closed_in(result) == "EXTRACTING_SNAPSHOT"
    assert "has no container under the shim's care" in result.reason


def test_data_that_nobody_registered_closes_the_gate_until_it_is_left_out(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage()
    stage.project()
    stage.deposit("w-0").applied(DEADLINE_S)
    stage.pending = {"x": stage.accounts["w-0"]}  # type: ignore[attr-defined]
    stage.ferry.watch_app(stage)

    result = stage.migration().run()
    planned = stage.migration().dry_run()
    stage.ferry.exclude("app.pending", reason="made again from the accounts")
    afterwards = stage.migration().dry_run()

    assert closed_in(result) == "EXTRACTING_SNAPSHOT"
    assert "  app.pending: dict of 1 Account" in result.reason
    assert "ferry.exclude(path" in result.next_step
    assert (planned.succeeded, planned.reason) == (False, result.reason)
    assert afterwards.succeeded, afterwards.reason
    assert "1 paths of the app left out, with a reason" in " ".join(afterwards.effects)


def test_a_walk_that_did_not_come_to_its_end_closes_the_gate(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage()
    stage.project()
    stage.ferry.watch_app(stage, objects_max=1)

    result = stage.migration().run()

    assert closed_in(result) == "EXTRACTING_SNAPSHOT"
    assert "was not walked to its end: after 1 objects" in result.reason


@pytest.fixture
def make_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], MigrationResult]:
    """Return runs that wait for nobody for long."""
    monkeypatch.setattr("projector.migration.phases.preparing._PATIENCE_S", 3.0)
    monkeypatch.setattr("projector.migration.phases.extracting_snapshot._PATIENCE_S", 2.0)

    def run(settings: Settings) -> MigrationResult:
        return ZeroDowntimeMigration(settings, DOMAIN).run()

    return run
