from collections.abc import Callable

import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger


def test_equal_witnesses_end_with_0(projected: Ledger, memferry: Callable[..., Done]) -> None:
    shown = memferry("audit", "--without-memory", environment=projected.environment)
    document = memferry("audit", "--without-memory", "--json", environment=projected.environment)

    assert shown.code == document.code == 0
    assert "position 0:7,1:7,2:7, 21 events folded" in shown.out
    assert "not asked" in shown.out
    found = document.json()
    assert found["all_equal"] is True
    assert found["equal"] == {"accounts": True, "readings": True}
    assert found["rows"] == {"accounts": 12, "readings": 0}
    assert (found["findings"], found["events"], found["memory_compared"]) == ([], 21, False)


def test_a_difference_ends_with_1_and_names_witness_table_and_key(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        conn.execute(
            f"UPDATE {projected.settings.projection}.accounts SET owner = 'Eve [red]' "
            "WHERE account = 'acc-1'"
        )
        conn.execute(
            f"INSERT INTO {projected.settings.projection}.readings VALUES ('[bold]', 1, 1)"
        )

    shown = memferry("audit", "--without-memory", environment=projected.environment)
    document = memferry("audit", "--without-memory", "--json", environment=projected.environment)

    assert shown.code == document.code == 1
    said = " ".join(shown.out.split())
    assert "differs tables: table accounts, key acc-1 (stream account/acc-1): differs" in said
    assert "extra tables: table readings, key [bold]/1: extra" in said
    assert "NO" in said
    assert [(f["witness"], f["problem"], f["key"]) for f in document.json()["findings"]] == [
        ("tables", "differs", "acc-1"),
        ("tables", "extra", "[bold]/1"),
    ]


def test_an_app_that_does_not_answer_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("audit", "--timeout-s", "0.2", environment=projected.environment)

    assert done.code == 2
    assert "source 'app-1' did not answer: no answer in time" in done.said
    assert "--without-memory" in done.said


@pytest.mark.parametrize(
    "arguments", [["--timeout-s", "soon"], ["--with-memory"], ["extra"]], ids=" ".join
)
def test_bad_arguments_end_with_2(
    ledger: Ledger, memferry: Callable[..., Done], arguments: list[str]
) -> None:
    assert memferry("audit", *arguments, environment=ledger.environment).code == 2
