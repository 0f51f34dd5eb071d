"""The migration as its operator meets it: what the commands print, and how they end."""

from collections.abc import Callable

import psycopg

from projector.migration.phases import PHASES
from tests.compose.cli.conftest import Done, Ledger
from tests.projector.migration.stage import Stage

NAMES = [phase.name for phase in PHASES]
Commands = Callable[..., Done]


def alter(stage: Stage, owner: str) -> None:
    with psycopg.connect(stage.settings.postgres.dsn) as conn:
        conn.execute(
            f"UPDATE {stage.settings.projection}.accounts SET owner = %s WHERE account = 'w-1'",
            (owner,),
        )


def test_a_migration_shows_its_phases_and_the_pause_and_is_not_run_twice(
    trading: Stage, commands: Commands
) -> None:
    done = commands("migrate", "--zero-downtime")
    shown = commands("status")
    document = commands("status", "--json").json()
    again = commands("migrate", "--zero-downtime", "--json")

    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert words.startswith("PHASE s OUTCOME FOUND PREPARING")
    assert [name for name in NAMES if f"{name} " in words] == NAMES
    assert "finished: reads go to postgres since epoch " in words
    assert words.endswith(" ms")
    for number, name in enumerate(NAMES, 1):
        assert f"{number}/10 {name}" in done.err
    assert "reads go to postgres, epoch " in shown.out
    assert "last zero downtime migration: finished at " in shown.out
    assert document["route"]["route"] == "postgres"
    assert (document["migration"]["state"], document["migration"]["phase"]) == (
        "finished", "CLEANUP"
    )  # fmt: skip
    assert (again.code, again.out) == (2, "")
    assert "are in PostgreSQL already" in again.said
    assert "next `memferry switch-back` returns them to memory" in again.said


def test_a_closed_gate_ends_with_1_and_says_what_to_do_next(
    trading: Stage, commands: Commands
) -> None:
    alter(trading, "Mallory")
    try:
        document = commands("migrate", "--json")
        dry = commands("migrate", "--zero-downtime", "--dry-run")
    finally:
        alter(trading, "Eve")
    status = commands("status")

    assert document.code == dry.code == 1
    found = document.json()
    assert (found["state"], found["mode"], found["route"]) == (
        "undone", "stop_and_copy", "memory"
    )  # fmt: skip
    assert (found["phases"][-1]["phase"], found["phases"][-1]["outcome"]) == (
        "VALIDATION", "closed"
    )  # fmt: skip
    assert [t["equal"] for t in found["audit"]["tables"]] == [False, True]
    for done in (document, dry):
        assert "closed 1 rows differ, in accounts: tables: table accounts, key w-1" in done.said
        assert "next `memferry audit` names every row" in done.said
    assert "last stop and copy migration: undone at " in status.out
    assert "1 rows differ" in status.out


def test_a_dry_run_says_what_a_run_would_do(trading: Stage, commands: Commands) -> None:
    shown = commands("migrate", "--zero-downtime", "--dry-run")
    document = commands("migrate", "--dry-run", "--json")

    assert shown.code == document.code == 0
    lines = shown.out.splitlines()
    assert [line[:-1] for line in lines if line[:-1] in NAMES] == NAMES
    assert lines[-2:] == ["end: finished", "nothing was changed"]
    found = document.json()
    assert (found["state"], found["mode"], found["phases"]) == ("planned", "stop_and_copy", [])
    assert any("hold writes of app-1" in effect for effect in found["effects"])


def test_servers_that_are_away_end_with_2(ledger: Ledger, memferry: Commands) -> None:
    away = {"MEMFERRY_POSTGRES_DSN": "host=127.0.0.1 port=1 user=x"}

    done = memferry("migrate", "--zero-downtime", environment=ledger.environment | away)

    assert (done.code, done.out) == (2, "")
    assert "PostgreSQL cannot be reached" in done.said
    assert "memferry stack up" in done.said
