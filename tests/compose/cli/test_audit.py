from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger


@pytest.fixture
def spoilt(projected: Ledger) -> Ledger:
    """Somebody edited the tables."""
    name = projected.settings.projection
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        conn.execute(f"UPDATE {name}.accounts SET owner = 'Eve [red]' WHERE account = 'acc-1'")
        conn.execute(f"INSERT INTO {name}.readings VALUES ('[bold]', 1, 1)")
    return projected


def test_equal_witnesses_end_with_0(projected: Ledger, memferry: Callable[..., Done]) -> None:
    arguments = ("audit", "--without-memory", "--full")
    shown = memferry(*arguments, environment=projected.environment)
    document = memferry(*arguments, "--json", environment=projected.environment)

    assert shown.code == document.code == 0, shown.err
    said = " ".join(shown.out.split())
    assert "Clean: every witness agrees" in said
    assert "log and tables, at 0:7,1:7,2:7" in said
    assert "memory was not asked" in said
    assert "21 events were folded" in said
    found = document.json()
    assert found["all_equal"] is True
    assert found["equal"] == {"accounts": True, "readings": True}
    assert found["rows"] == {"accounts": 12, "readings": 0}
    assert (found["findings"], found["events"], found["memory_compared"]) == ([], 21, False)
    assert (found["report"]["passed"], found["report"]["position"]) == (True, "0:7,1:7,2:7")


def test_a_difference_ends_with_1_and_names_witness_table_and_key(
    spoilt: Ledger, memferry: Callable[..., Done]
) -> None:
    shown = memferry("audit", "--without-memory", environment=spoilt.environment)
    document = memferry("audit", "--without-memory", "--json", environment=spoilt.environment)

    assert shown.code == document.code == 1
    said = " ".join(shown.out.split())
    assert "Not passed: 2 findings" in said
    assert "tables, accounts" in said
    assert "acc-1" in said
    assert "Eve [red]" in said
    assert "rows that no event explains" in said
    assert "[bold]/1" in said
    assert [(f["witness"], f["problem"], f["key"]) for f in document.json()["findings"]] == [
        ("tables", "differs", "acc-1"),
        ("tables", "extra", "[bold]/1"),
    ]


def test_only_the_tables_that_are_named_are_compared(
    spoilt: Ledger, memferry: Callable[..., Done]
) -> None:
    arguments = ("audit", "--without-memory", "--json", "--tables")
    both = memferry(*arguments, "readings, accounts", environment=spoilt.environment)
    one = memferry(*arguments, "readings", environment=spoilt.environment)
    other = memferry(*arguments, "no_table", environment=spoilt.environment)

    assert both.json()["equal"] == {"accounts": False, "readings": False}
    assert one.json()["equal"] == {"readings": False}
    assert (both.code, one.code, other.code) == (1, 1, 2)
    assert "has no table 'no_table'" in other.said


def test_a_position_is_where_the_tables_must_be(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    arguments = ("audit", "--without-memory", "--timeout-s", "0.2", "--position")
    there = memferry(*arguments, "0:7,1:7,2:7", environment=projected.environment)
    ahead = memferry(*arguments, "0:7,1:7,2:8", environment=projected.environment)
    behind = memferry(*arguments, "0:6,1:7,2:7", environment=projected.environment)
    wrong = memferry(*arguments, "0:7,1:7", environment=projected.environment)

    assert (there.code, ahead.code, behind.code, wrong.code) == (0, 2, 2, 2)
    assert "partition 2 is at offset 7" in ahead.said
    assert "the tables are at 0:7,1:7,2:7, not at 0:6,1:7,2:7" in behind.said
    assert "partitions [2] are not named" in wrong.said


def test_reports_are_written_to_files_beside_the_terminal(
    spoilt: Ledger, memferry: Callable[..., Done], tmp_path: Path
) -> None:
    page, cases = tmp_path / "audit.html", tmp_path / "audit.xml"

    done = memferry(
        "audit", "--without-memory", "--html", str(page), "--junit", str(cases),
        environment=spoilt.environment,
    )  # fmt: skip

    assert done.code == 1
    assert "acc-1" in page.read_text("utf-8")
    assert ElementTree.fromstring(cases.read_bytes()).tag == "testsuites"  # noqa: S314


def test_a_file_that_cannot_be_written_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done], tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "audit.html"

    done = memferry(
        "audit", "--without-memory", "--html", str(missing), environment=projected.environment
    )

    assert done.code == 2
    assert str(missing) in done.said


def test_an_app_that_does_not_answer_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("audit", "--timeout-s", "0.2", environment=projected.environment)

    assert done.code == 2
    assert "source 'app-1' did not answer: no answer in time" in done.said
    assert "--without-memory" in done.said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timeout-s", "soon"],
        ["--with-memory"],
        ["extra"],
        ["--every", "ten minutes"],
        ["--cron", "* * *"],
        ["--every", "10m", "--cron", "* * * * *"],
        ["--count", "0"],
    ],
    ids=" ".join,
)
def test_bad_arguments_end_with_2(
    ledger: Ledger, memferry: Callable[..., Done], arguments: list[str]
) -> None:
    assert memferry("audit", *arguments, environment=ledger.environment).code == 2


@pytest.mark.parametrize("command", ["audit", "validate"])
def test_no_time_to_wait_is_refused(memferry: Callable[..., Done], command: str) -> None:
    done = memferry(command, "--timeout-s", "-1", environment={})

    assert done.code == 2
    assert "-1 s is no time to wait" in done.said
