from collections.abc import Callable

import psycopg
import pytest

from projector.sql import query
from tests.compose.cli.conftest import Done, Ledger
from tests.projector.app import tables
from tests.projector.migration.stage import DEADLINE_S, Stage


def test_the_tables_go_back_by_name_hold_and_go_on(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    commands("savepoint", "take", "here")
    for name in ("w-0", "w-1", "w-2", "w-3"):
        trading.deposit(name).applied(DEADLINE_S)

    back = commands("rollback", "--to-savepoint", "here", "--yes")
    status = commands("status")
    document = commands("resume", "--json")
    refused = commands("resume")

    assert back.code == 0, back.err
    words = " ".join(back.out.split())
    assert words.startswith("TABLE rows before rows now difference accounts ")
    assert "4 records are set aside, none is lost: `memferry resume` goes forward" in words
    assert "is held (replayed to " in " ".join(status.out.split())
    assert (document.code, document.json()["caught_up"]) == (0, True)
    assert document.json()["behind"] == 4
    assert (refused.code, refused.out) == (2, "")
    assert "is live, it does not hold" in refused.said


def test_a_resume_without_a_projector_ends_with_1(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = projected.environment

    words = ("rollback", "--to-offset", "0:3,1:0,2:7", "--yes", "--json")
    back = memferry(*words, environment=environment)
    done = memferry("resume", "--timeout-s", "0.2", environment=environment)

    assert back.code == 0
    found = back.json()
    assert (found["before"], found["position"], found["set_aside"]) == (
        "0:7,1:7,2:7", "0:3,1:0,2:7", 11
    )  # fmt: skip
    assert found["rows_before"] == {"accounts": 12, "readings": 0}
    assert found["rows"]["accounts"] < 12
    assert done.code == 1
    assert "have not caught up yet: is `memferry project` running?" in done.said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "exactly one target is wanted, none was named"),
        (["--to-savepoint", "a", "--to-offset", "0:0"], "2 were named"),
        (["--to-savepoint", "nowhere"], "there is no savepoint 'nowhere'"),
        (["--to-offset", "0:1,1:2"], "partitions [2] are not named"),
        (["--to-offset", "0:999,1:0,2:0"], "the nearest position is --to-offset 0:7,1:0,2:0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_target_changes_nothing(
    projected: Ledger, memferry: Callable[..., Done], arguments: list[str], said: str
) -> None:
    done = memferry("rollback", *arguments, environment=projected.environment)

    assert (done.code, done.out) == (2, "")
    assert said in done.said
    assert "next" in done.said
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        assert tables(conn, projected.settings.projection) == projected.app.expected()


def test_tables_that_are_read_are_neither_rolled_back_nor_replayed(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    name = projected.settings.projection
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        values = {"projection": name, "route": "postgres", "epoch": 2, "decision": 1}
        at = {"at": "2026-01-01T00:00:00Z", "actor": "ada@desk"}
        conn.execute(query("route_switch"), values | at)

    back = ["--to-offset", "0:0,1:0,2:0"]
    try:
        refusals = [
            memferry(*words, environment=projected.environment)
            for words in (
                ["rollback", "--yes", *back],
                ["replay", *back],
                ["replay", "--to-end", "--in-place"],
            )
        ]
        with psycopg.connect(projected.settings.postgres.dsn) as conn:
            assert tables(conn, name) == projected.app.expected()
    finally:
        with psycopg.connect(projected.settings.postgres.dsn) as conn:
            conn.execute("DELETE FROM memferry.route WHERE projection = %s", (name,))

    for refused in refusals:
        assert (refused.code, refused.out) == (2, "")
        assert "go to PostgreSQL: its tables stay as they are" in refused.said
        assert "memferry switch-back" in refused.said
