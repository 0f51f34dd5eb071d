"""`memferry validate`: five levels over memory, log, tables, and files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger

LEVELS = ["syntax", "semantic", "business", "cross_reference", "statistical"]
NO_SERVERS = {"MEMFERRY_DOMAIN": "tests.domains.ledger"}
HEADER = '{"format":"memferry.extraction","version":1,"kinds":["reading"]}\n'
READING = '{"kind":"reading","data":{"meter":"m","number":1,"value":"1.5"}}\n'


@pytest.fixture
def forgotten(projected: Ledger) -> Iterator[str]:
    """A table in the projection's schema that nobody projects."""
    table = f"{projected.settings.projection}.forgotten"
    with psycopg.connect(projected.settings.postgres.dsn, autocommit=True) as conn:
        conn.execute(f"CREATE TABLE {table} (number int)")
        yield table
        conn.execute(f"DROP TABLE {table}")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def make(text: str, name: str = "x.jsonl") -> str:
        (tmp_path / name).write_text(text)
        return name

    return make


def test_the_log_and_its_tables_are_what_is_looked_at_by_default(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    shown = memferry("validate", environment=projected.environment)
    document = memferry("validate", "--json", environment=projected.environment)

    assert shown.code == document.code == 0, shown.err + shown.out
    report = document.json()["report"]
    assert (report["kind"], report["source"], report["passed"]) == (
        "validation", "log and tables", True
    )  # fmt: skip
    assert [level["level"] for level in report["levels"]] == LEVELS
    assert report["findings"] == []
    assert "Clean: every rule holds" in shown.out
    assert "log" in shown.err


def test_memory_is_read_from_the_running_app(commands: Callable[..., Done]) -> None:
    done = commands(
        "validate", "--source", "memory", "--target", "tables", "--threshold", "50", "--json"
    )

    report = done.json()["report"]
    assert done.code == 0, report["findings"]
    assert report["source"] == "memory and tables"
    assert report["levels"][0]["looked"] > 0


def test_a_table_that_the_migration_forgot_is_named(
    projected: Ledger, forgotten: str, memferry: Callable[..., Done]
) -> None:
    done = memferry("validate", "--source", "tables", "--json", environment=projected.environment)

    found = [one for one in done.json()["report"]["findings"] if "forgotten" in one["observed"]]
    assert [(one["level"], one["rule"], one["rows"]) for one in found] == [
        ("syntax", "mapped", ["table forgotten"])
    ]


def test_a_score_below_the_threshold_fails_and_one_above_it_passes(
    projected: Ledger, memferry: Callable[..., Done], write: Callable[..., str]
) -> None:
    wrong = READING.replace('"1.5"', "[]")
    lines = [READING.replace('"number":1', f'"number":{n}') for n in range(9)] + [wrong]
    file = write(HEADER + "".join(lines) + '{"entities":10}\n')
    arguments = ("validate", "--source", file, "--json")

    strict = memferry(*arguments, "--threshold", "100", environment=NO_SERVERS)
    lenient = memferry(*arguments, "--threshold", "50", environment=NO_SERVERS)

    assert (strict.code, lenient.code) == (1, 0), strict.err + lenient.err
    totals = [done.json()["report"]["score"]["total"] for done in (strict, lenient)]
    assert totals[0] == totals[1] < 100
    found = strict.json()["report"]["findings"]
    assert [(one["rows"], one["count"]) for one in found] == [(["line 11"], 1)]


def test_reports_are_written_as_a_page_and_as_cases(
    projected: Ledger, memferry: Callable[..., Done], tmp_path: Path
) -> None:
    page, cases = tmp_path / "page.html", tmp_path / "cases.xml"

    done = memferry(
        "validate", "--source", "log", "--threshold", "50",
        "--html", str(page), "--junit", str(cases),
        environment=projected.environment,
    )  # fmt: skip

    assert done.code == 0, done.err
    assert page.read_text().startswith("<!doctype html>")
    assert ElementTree.fromstring(cases.read_text()).tag == "testsuites"  # noqa: S314  (ours)


def test_a_file_needs_no_server(memferry: Callable[..., Done], write: Callable[..., str]) -> None:
    file = write(HEADER + READING + '{"entities":1}\n')

    done = memferry("validate", "--source", file, "--json", environment=NO_SERVERS)

    assert done.code == 0, done.err
    report = done.json()["report"]
    assert (report["source"], report["levels"][0]["looked"]) == (file, 1)


def test_a_csv_file_is_of_the_kind_that_is_named(
    memferry: Callable[..., Done], write: Callable[..., str]
) -> None:
    file = write("meter,number,value\nm,1,1.5\nm,x,2\n", "x.csv")

    done = memferry(
        "validate", "--source", file, "--kind", "reading", "--json", environment=NO_SERVERS
    )

    assert done.code == 1
    assert [one["rows"] for one in done.json()["report"]["findings"]] == [["line 3"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no file"),
        ("", "is empty"),
        (HEADER + READING, "the file was cut short"),
        ("nonsense\n", "its first line must be a header"),
    ],
)
def test_a_file_that_is_none_ends_with_2_and_the_next_step(
    text: str | None, said: str, memferry: Callable[..., Done], write: Callable[..., str]
) -> None:
    file = "tabels" if text is None else write(text)

    done = memferry("validate", "--source", file, "--json", environment=NO_SERVERS)

    assert (done.code, done.out) == (2, "")
    assert said in done.said
    assert " next " in done.said


def test_a_directory_ends_with_2(memferry: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "files.jsonl").mkdir()

    done = memferry("validate", "--source", "files.jsonl", environment=NO_SERVERS)

    assert (done.code, done.out) == (2, "")
    assert "is a directory" in done.said


def test_an_app_that_does_not_answer_ends_with_2(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    arguments = ("validate", "--source", "memory", "--timeout-s", "0.2")
    done = memferry(*arguments, environment=ledger.environment)

    assert (done.code, done.out) == (2, "")
    assert "source 'app-1' did not answer" in done.said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timeout-s", "soon"], ["extra"], ["--threshold", "101"], ["--threshold", "nan"],
        ["--target", "log"], ["--source", "log", "--target", "log"], ["--kind", "acount"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_bad_arguments_end_with_2(
    ledger: Ledger, memferry: Callable[..., Done], arguments: list[str]
) -> None:
    done = memferry("validate", *arguments, environment=ledger.environment)

    assert (done.code, done.out) == (2, ""), done.err
