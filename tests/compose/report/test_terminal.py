import io
import unicodedata

import pytest
from rich.console import Console

from compose.report.terminal import show
from projector.audit.compare import ColumnDifference, Finding
from projector.audit.report import Report
from tests.compose.report.samples import (
    audit_result,
    audited,
    breach,
    differs,
    distribution,
    parked,
    validated,
)


def shown(report: Report, width: int = 80) -> str:
    file = io.StringIO()
    show(report, Console(file=file, width=width, highlight=False))
    return file.getvalue()


def cells(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(one) in "WF") for one in line)


LONG = "K" * 130 + " mit Abständen 鍵鍵鍵 " * 9
FULL = [
    audited(audit_result()),
    audited(audit_result(differs(), differs("T-18"), parked=[parked("trade/" + "S" * 200)])),
    audited(
        audit_result(
            Finding("tables", "differs", "trades", LONG, "trade/x",
                    columns=[ColumnDifference("c" * 90, LONG, LONG)]),
            Finding("log", "broken", "", LONG, detail=LONG),
        )
    ),
    validated(breach(what=LONG, rows=[LONG] * 5, observed=LONG),
              distributions=[distribution(LONG, drifted=True)], coverage=[LONG]),
]  # fmt: skip


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("report", FULL)
def test_no_line_but_a_command_is_longer_than_80_columns(report: Report, width: int) -> None:
    lines = shown(report, width).splitlines()

    commands = {finding.next for finding in report.findings}
    commands |= {action.command for action in report.recommendations}
    long = [line for line in lines if cells(line) > 80]
    assert all(any(command in line for command in commands) for line in long)


def test_a_command_is_on_one_line_however_long() -> None:
    report = FULL[2]

    assert report.findings[0].next == report.recommendations[1].command
    assert shown(report).count(report.findings[0].next) == 2


def test_the_parts_are_in_the_order_of_the_page() -> None:
    said = shown(validated(breach(), distributions=[distribution()], coverage=["all was read"]))

    parts = ["✘ Not passed" if "✘" in said else "Passed", "Score", "What was looked at",
             "Findings", "What to do", "Distributions"]  # fmt: skip
    places = [said.index(part) for part in parts]
    assert places == sorted(places)


def test_a_finding_says_what_where_how_many_which_and_what_next() -> None:
    lines = [line.rstrip() for line in shown(validated(breach(count=7))).splitlines()]

    start = lines.index("tables, trade: fees are not those of the fills")
    assert lines[start + 1 : start + 6] == [
        "  business, trade.fees_recompute: 7 records",
        "  records   T-0  T-1  T-2  T-3  T-4  and 2 more",
        "  observed  fees = 1.25",
        "  expected  fees = 1.20",
        "  next      memferry audit",
    ]


def test_a_veto_at_a_score_of_nearly_a_hundred_is_said_first() -> None:
    lines = shown(audited(audit_result(differs()))).splitlines()

    assert lines[0] == "✘ Not passed: 1 finding, 1 veto"
    assert "score 99.99, threshold 95; a veto closes the gate" in lines[1]
    assert "  veto      tables, trades: rows are not as the log says" in lines


def test_a_clean_report_says_so_and_has_no_findings() -> None:
    said = shown(audited(audit_result()))

    assert said.startswith("✔ Clean: every witness agrees\n  score 100, threshold 95\n")
    assert "Findings" not in said
    assert "What to do" not in said


def test_nothing_looked_at_is_not_shown_as_sound() -> None:
    report = audited(audit_result(equal={}))

    assert "nothing was looked at" in shown(report)
    assert "✘" in shown(report)


def test_only_the_first_findings_are_shown_and_the_rest_is_counted() -> None:
    many = [Finding("log", "broken", "", f"offset {n}", detail=f"d{n}") for n in range(40)]

    said = shown(audited(audit_result(*many)))

    assert "Findings: 40" in said
    assert "and 20 more findings: --json or --html has all" in said
    assert "and 32 more vetoes" not in said  # they are all said with one sentence


@pytest.mark.parametrize("key", ["[bold red]x[/]", "[/]", "[link=x]y"])
def test_what_data_says_is_never_taken_for_markup(key: str) -> None:
    finding = Finding("tables", "extra", key, key, detail=key)

    said = shown(audited(audit_result(finding, equal={key: False})))

    assert f"\n{key} " in said
    assert f"veto tables, {key}: rows that no event explains" in said
    assert f"  rows      {key}\n" in said


def test_what_data_says_cannot_steer_the_terminal() -> None:
    said = shown(audited(audit_result(differs("\x1b[2J\u202ex\r\x07"))))

    assert not {"\x1b", "\u202e", "\r", "\x07"} & set(said)
    assert "  rows      \\x1b[2J\\u202ex\\r\\x07\n" in said
