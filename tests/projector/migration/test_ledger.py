"""A migration's rows: one run's turn, and what another's take-over ends."""

from typing import Any

import psycopg
import pytest

from projector.control_tables import Projection
from projector.migration.ledger import Ledger, MigrationTakenOver
from projector.migration.record import MigrationInProgress, lock, newest, phases
from projector.trail import first_broken
from schemas.settings import Settings
from tests.projector.waiting import until


@pytest.fixture
def ledger(database: psycopg.Connection[Any], projection: Projection) -> Ledger:
    return Ledger(database, projection.name)


def trail(conn: psycopg.Connection[Any]) -> list[str]:
    return [action for (action,) in conn.execute("SELECT action FROM memferry.trail ORDER BY id")]


def test_a_migration_is_told_phase_by_phase(
    ledger: Ledger, database: psycopg.Connection[Any], projection: Projection
) -> None:
    before = len(trail(database))

    turn = ledger.begin("zero_downtime", "PREPARING")
    ledger.enter("PREPARING")
    running = newest(database, projection.name)
    ledger.leave("passed", "all there")
    ledger.leave("failed", "left already")  # says nothing more
    ledger.enter("VALIDATION")
    ledger.leave("closed", "2 rows differ")
    ledger.end("undone", "2 rows differ")

    ended = newest(database, projection.name)
    assert (turn.mode, turn.term, turn.phase) == ("zero_downtime", 1, "PREPARING")
    assert running is not None
    assert ended is not None
    assert (running.state, running.phase, running.ended_at) == ("running", "PREPARING", None)
    assert (ended.id, ended.state, ended.reason) == (turn.id, "undone", "2 rows differ")
    assert [(p.phase, p.outcome, p.detail) for p in phases(database, turn.id)] == [
        ("PREPARING", "passed", "all there"),
        ("VALIDATION", "closed", "2 rows differ"),
    ]
    assert trail(database)[before:] == [
        "migration begun", "phase entered", "phase left", "phase entered", "phase left",
        "migration undone",
    ]  # fmt: skip
    assert first_broken(database) is None


def test_whoever_lost_its_turn_enters_leaves_and_ends_nothing(
    ledger: Ledger, database: psycopg.Connection[Any], projection: Projection
) -> None:
    ledger.begin("stop_and_copy", "PREPARING")
    ledger.enter("VALIDATION")
    second = Ledger(database, projection.name)

    turn = second.begin("zero_downtime", "PREPARING")
    second.enter(turn.phase)
    before = phases(database, turn.id), len(trail(database))
    with pytest.raises(MigrationTakenOver, match="another run took this migration over"):
        ledger.enter("CUTOVER")
    with pytest.raises(MigrationTakenOver):
        ledger.end("undone", "late")
    with pytest.raises(MigrationTakenOver):
        ledger.end("finished", "")
    ledger.leave("failed", "late")

    assert (turn.mode, turn.term, turn.phase) == ("stop_and_copy", 2, "VALIDATION")
    assert (phases(database, turn.id), len(trail(database))) == before
    assert [p.outcome for p in before[0]] == ["interrupted", ""]
    second.leave("passed", "")
    second.end("finished", "")


def test_the_next_migration_is_a_new_one(ledger: Ledger, projection: Projection) -> None:
    first = ledger.begin("zero_downtime", "PREPARING")
    ledger.end("undone", "closed")

    second = ledger.begin("stop_and_copy", "PREPARING")

    assert second.id != first.id
    assert (second.mode, second.term) == ("stop_and_copy", 1)
    ledger.end("undone", "closed")


def test_the_lock_is_one_runs_until_its_connection_ends(
    settings: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        lock(conn, projection.name)

        with pytest.raises(MigrationInProgress, match="is about to migrate projection"):
            lock(database, projection.name)

    until(lambda: free(database, projection.name), "the ended connection's lock")


def free(conn: psycopg.Connection[Any], name: str) -> bool:
    try:
        lock(conn, name)
    except MigrationInProgress:
        return False
    return True
