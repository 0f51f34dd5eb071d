"""kill -9 of a run at every step of every phase, while the app writes: the next run ends it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.kept_digests import kept_tables
from projector.migration.interface import NothingToSwitch
from projector.migration.phases import PHASES
from projector.migration.record import newest
from projector.route import read_route
from schemas.settings import Settings
from tests.projector.migration.child import migrate, start
from tests.projector.migration.stage import DEADLINE_S, Stage
from tests.projector.waiting import until

NAMES = [phase.name for phase in PHASES]
_STEPS = ("enter", "work", "gate")
_KEEPING = (NAMES.index("CUTOVER_PREPARATION"), _STEPS.index("work"))
"""From behind there the tables keep digests, to the end."""


def kill(stage: Stage, dies: str, settings: Settings | None = None) -> None:
    """Have a run die there, and the app go on."""
    process = start(migrate, settings or stage.settings, dies)
    process.join(DEADLINE_S)
    assert process.exitcode == -signal.SIGKILL, dies
    stage.wrote_on()


def fence(conn: psycopg.Connection[Any], stage: Stage) -> tuple[Any, ...]:
    """Return the last fence: its state and reason, and what the app says of its own pause."""
    row = conn.execute(
        "SELECT f.state, f.reason, s.state, s.pause_ms FROM memferry.fence AS f "
        "LEFT JOIN memferry.fence_source AS s ON s.fence = f.id "
        "WHERE projection = %s ORDER BY asked_at DESC LIMIT 1",
        (stage.settings.projection,),
    ).fetchone()
    assert row is not None
    return tuple(row)


@pytest.fixture(scope="module")
def trading(make_module_stage: Callable[[], Stage]) -> Iterator[Stage]:
    """One app for all phases, which lost nothing in the end."""
    stage = make_module_stage()
    yield stage
    stage.require_nothing_lost()


@pytest.fixture
def stage(trading: Stage) -> Iterator[Stage]:
    """It writes throughout; every run begins with the reads in memory."""
    trading.write()
    yield trading
    with suppress(NothingToSwitch):
        trading.migration().switch_back(without_audit=True)
    trading.rest()
    trading.require_acknowledged()


@pytest.mark.parametrize("phase", NAMES)
def test_a_run_killed_behind_each_step_of_a_phase_is_finished_by_the_next(
    stage: Stage, database: psycopg.Connection[Any], phase: str
) -> None:
    killed = set()
    for step in _STEPS:
        kill(stage, f"{phase}.{step}")
        left = newest(database, stage.settings.projection)
        assert left is not None
        assert (left.state, left.phase) == ("running", phase)
        killed.add(left.id)
        keeps = kept_tables(database, stage.settings.projection) != set()
        assert keeps == ((NAMES.index(phase), _STEPS.index(step)) >= _KEEPING)

    result = stage.migration().run()

    assert kept_tables(database, stage.settings.projection) == set()

    assert (result.state, result.route, result.reason) == ("finished", "postgres", "")
    outcomes = [(p.phase, p.outcome) for p in result.phases]
    before, behind = NAMES[: NAMES.index(phase)], NAMES[NAMES.index(phase) :]
    assert outcomes == [
        *((name, "passed") for name in before),
        *[(phase, "interrupted")] * 3,
        *((name, "passed") for name in behind),
    ]
    assert killed == {result.migration}
    assert result.audit is None or result.audit.passed


def test_writers_whose_fence_nobody_ends_go_on_by_themselves(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    hasty = msgspec.structs.replace(stage.settings.migration, max_downtime_ms=700)

    kill(stage, "a fence is asked for", msgspec.structs.replace(stage.settings, migration=hasty))
    until(lambda: fence(database, stage)[2] == "opened", "the app's own report")
    asked = fence(database, stage)
    kill(stage, "a switch is decided")
    decided = fence(database, stage)
    before = read_route(database, stage.settings.projection).route
    result = stage.migration().run()

    assert asked[0] == "aborted"
    assert asked[1].startswith("the lease of source 'app-1' ended after 0.7")
    assert asked[3] == pytest.approx(700)
    noted = database.execute(
        "SELECT after ->> 'reason' FROM memferry.trail WHERE action = 'switch aborted' "
        "AND after ->> 'projection' = %s",
        (stage.settings.projection,),
    ).fetchall()
    assert noted == [(asked[1],)]
    assert (decided[0], before) == ("decided", "shadow")  # nobody was told yet
    assert (result.state, result.route, result.cutover_pause_ms) == ("finished", "postgres", None)


@pytest.mark.parametrize("phase", ["POST_CUTOVER_VALIDATION", "CLEANUP"])
def test_a_migration_whose_reads_went_back_meanwhile_is_undone_not_finished(
    stage: Stage, phase: str
) -> None:
    kill(stage, "a switch is published")  # to shadow
    kill(stage, f"{phase}.enter")
    stage.migration().switch_back(without_audit=True)

    result = stage.migration().run()

    assert (result.state, result.route) == ("undone", "memory")
    assert "reads are in memory again" in result.reason
