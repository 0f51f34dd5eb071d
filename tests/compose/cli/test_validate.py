from collections.abc import Callable

import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger
from tests.projector.migration.stage import Stage


def test_equal_witnesses_end_with_0_and_memory_is_counted(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    shown = commands("validate")
    document = commands("validate", "--json")

    assert shown.code == document.code == 0, shown.err
    words = " ".join(shown.out.split())
    assert words.startswith("TABLE in log in table in memory COUNTS KEYS DIGESTS accounts ")
    assert words.count("equal equal equal") == 2
    found = document.json()
    assert found["passed"] is True
    assert found["validation"]["memory_compared"] is True
    assert [table["table"] for table in found["validation"]["tables"]] == ["accounts", "readings"]


def test_differences_end_with_1_level_by_level(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    name = projected.settings.projection
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        conn.execute(f"UPDATE {name}.accounts SET owner = 'Eve' WHERE account = 'acc-1'")
        conn.execute(f"INSERT INTO {name}.readings VALUES ('[bold]', 1, 1)")

    arguments = ("validate", "--without-memory")
    shown = memferry(*arguments, environment=projected.environment)
    document = memferry(*arguments, "--json", environment=projected.environment)

    assert shown.code == document.code == 1
    words = " ".join(shown.out.split())
    assert "accounts 12 12 not asked equal equal DIFFER" in words
    assert "readings 0 1 not asked DIFFER DIFFER equal" in words
    assert "tables: table readings, key [bold]/1: extra" in words
    found = document.json()["validation"]
    assert [(t["counts"], t["keys"], t["digests"]) for t in found["tables"]] == [
        (True, True, False), (False, False, True)
    ]  # fmt: skip
    assert (document.json()["passed"], len(found["findings"])) == (False, 2)


def test_an_app_that_does_not_answer_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("validate", "--timeout-s", "0.2", environment=projected.environment)

    assert (done.code, done.out) == (2, "")
    assert "source 'app-1' did not answer" in done.said


@pytest.mark.parametrize("arguments", [["--timeout-s", "soon"], ["extra"]], ids=" ".join)
def test_bad_arguments_end_with_2(
    ledger: Ledger, memferry: Callable[..., Done], arguments: list[str]
) -> None:
    assert memferry("validate", *arguments, environment=ledger.environment).code == 2
