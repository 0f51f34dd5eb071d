"""What somebody does to a table between the last audit and the cutover: found in the pause."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from projector.audit.kept_digests import kept_tables
from projector.migration.progress import MigrationProgress, Watcher
from projector.migration.result import MigrationResult
from projector.route import read_route
from tests.projector.migration.stage import Stage

Database = psycopg.Connection[Any]


def before_the_switch(act: Callable[[], object]) -> Watcher:
    """Return what does something once, when a run is about to ask for the fence."""
    left = [act]

    def watcher(progress: MigrationProgress) -> None:
        if progress.phase == "CUTOVER" and progress.waits_for == "the switch" and left:
            left.pop()()

    return watcher


def detail_of(result: MigrationResult, phase: str) -> str:
    return next(one.detail for one in result.phases if one.phase == phase)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {}.readings SET value = value + 1 WHERE number = 3",
        "DELETE FROM {}.readings WHERE number = 2",
        "INSERT INTO {}.readings VALUES ('m-9', 1, 1)",
        "TRUNCATE {}.readings",
    ],
)
def test_a_row_that_somebody_changed_behind_the_audit_closes_the_cutover(
    stage: Stage, database: Database, statement: str
) -> None:
    name = stage.settings.projection

    def tamper() -> None:
        database.execute(statement.format(name))

    result = stage.migration(before_the_switch(tamper)).run()
    stage.rest()

    assert (result.state, result.route) == ("undone", "memory")
    assert "the cutover was aborted: tables are not what the apps recorded" in result.reason
    assert "readings (" in result.reason
    assert "`memferry audit` names every row" in result.next_step
    assert read_route(database, name).route == "memory"
    assert kept_tables(database, name) == set()
    stage.require_acknowledged()


def test_what_moved_as_memory_did_passes_and_nothing_is_left_behind(
    stage: Stage, database: Database
) -> None:
    keeping: list[frozenset[str]] = []

    def look() -> None:
        keeping.append(kept_tables(database, stage.settings.projection))
        stage.wrote_on(10)

    result = stage.migration(before_the_switch(look)).run()
    stage.rest()

    assert (result.state, result.route) == ("finished", "postgres"), result.reason
    said = "1 tables compared meanwhile, left to the audits: accounts"
    assert said in detail_of(result, "CUTOVER")
    assert keeping == [{"readings"}]  # accounts have documents
    assert kept_tables(database, stage.settings.projection) == set()
    stage.require_nothing_lost()


def test_an_app_that_started_anew_behind_the_audit_is_audited_anew(
    stage: Stage, database: Database
) -> None:
    def restart() -> None:
        stage.rest()
        stage.restart()
        stage.write()

    result = stage.migration(before_the_switch(restart)).run()
    stage.rest()

    assert (result.state, result.route) == ("finished", "postgres"), result.reason
    assert "1 tables compared meanwhile" in detail_of(result, "CUTOVER")
    stage.require_nothing_lost()


def test_a_dry_run_keeps_nothing(stage: Stage, database: Database) -> None:
    stage.migration().run()
    stage.migration().switch_back()

    said = stage.migration().dry_run().effects

    assert "  2 tables keep digests until the end" in said
    assert kept_tables(database, stage.settings.projection) == set()
