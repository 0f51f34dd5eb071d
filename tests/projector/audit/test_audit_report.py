import pytest

from projector.audit.compare import Finding
from tests.compose.report.samples import TABLES, audit_result, audited, differs, parked, series


def found(
    witness: str, problem: str, table: str = "trades", key: str = "T-1", detail: str = ""
) -> Finding:
    return Finding(witness, problem, table, key, detail=detail)  # type: ignore[arg-type]


def broken_log() -> Finding:
    return found(
        "log", "broken", "", "topic t.1, partition 2, offset 9", "events 3 to 4 are missing"
    )


def test_a_clean_audit_passes_with_a_hundred_and_nothing_to_do() -> None:
    report = audited(audit_result(), series=[series()])

    assert report.passed
    assert report.score is not None
    assert (report.score.total, report.score.vetoes) == (100, [])
    assert (report.findings, report.recommendations) == ([], [])
    assert (report.kind, report.source) == ("audit", "memory, log and tables")
    assert [(t.table, t.equal) for t in report.tables] == [(name, True) for name in TABLES]
    assert [one.name for one in report.series] == ["lag"]


def test_rows_that_are_wrong_in_one_way_are_one_finding_with_the_values_of_the_first() -> None:
    rows = [differs(f"T-{number}") for number in range(7)]

    report = audited(audit_result(*rows, found("tables", "extra", key="T-99")))

    one, other = report.findings
    assert (one.count, one.rows) == (7, ["T-0", "T-1", "T-2", "T-3", "T-4"])
    assert (one.observed, one.expected) == ("fees = 1.25", "fees = 1.20")
    assert (one.where, one.rule, one.veto) == ("tables, trades", "tables.differs", True)
    assert (other.what, other.rows) == ("rows that no event explains", ["T-99"])
    assert not report.passed
    assert report.score is not None
    assert report.score.levels[0].broken == 8


def test_tables_that_differ_come_first() -> None:
    report = audited(audit_result(differs(table="portfolio_snapshots")))

    assert report.tables[0].table == "portfolio_snapshots"
    assert [table.equal for table in report.tables] == [False, True, True, True]


def test_what_was_not_asked_is_neither_counted_nor_silent() -> None:
    report = audited(audit_result(memory_compared=False, memory_rows={}))
    alone = audited(audit_result(memory_compared=False, tables_compared=False, equal={}))

    assert report.source == "log and tables"
    assert {table.memory_rows for table in report.tables} == {None}
    assert "memory was not asked" in report.coverage
    assert alone.source == "log"
    assert "the tables were not compared" in alone.coverage
    assert not alone.passed


def test_records_that_are_twice_in_the_log_are_told_and_do_no_harm() -> None:
    result = audit_result(duplicates_in_log=2, duplicates_at=["partition 0, offset 7"])

    report = audited(result)

    assert report.passed
    assert any("2 records are in the log a second time, the first at partition 0" in line
               for line in report.coverage)  # fmt: skip


def test_rows_that_are_not_named_count() -> None:
    report = audited(audit_result(differs(), unnamed=500))

    assert report.score is not None
    assert report.score.levels[0].broken == 501
    assert [finding.rule for finding in report.findings] == ["tables.differs", "rows.unnamed"]


@pytest.mark.parametrize(
    ("finding", "command"),
    [
        (differs(), "memferry audit bisect --table trades --key T-17"),
        (differs("it's; rm"), "memferry audit bisect --table trades --key 'it'\"'\"'s; rm'"),
        (differs("-x"), "memferry audit bisect --table trades --key=-x"),
        (
            found("memory", "missing"),
            "memferry audit bisect --table trades --key T-1 --with-memory",
        ),
        (found("memory", "differs", key="bucket 3, 4"), "memferry audit --full"),
        (found("memory", "misplaced", "", "T-1 under T-2"), "memferry audit --full"),
        (broken_log(), "memferry mend"),
        (found("outbox", "broken", "", "source app-1", "row 7"), "memferry outbox --check"),
        (differs(parked=True), "memferry parked list"),
    ],
)
def test_each_finding_names_the_command_to_run_next(finding: Finding, command: str) -> None:
    assert audited(audit_result(finding)).findings[0].next == command


def test_what_differs_for_a_parked_event_does_not_veto_but_the_parked_stream_does() -> None:
    report = audited(audit_result(differs(parked=True), parked=[parked()]))

    rows, streams = report.findings
    assert (rows.veto, rows.what) == (
        False,
        "rows are not as the log says: their events are parked",
    )
    assert (streams.veto, streams.rows) == (True, ["trade/T-9"])
    assert streams.next == "memferry parked show trade/T-9"
    assert [action.command for action in report.recommendations] == ["memferry parked retry --all"]
    assert "applies 3 events of 1 stream" in report.recommendations[0].changes


def test_what_differs_for_no_reason_is_told_apart_from_what_waits() -> None:
    report = audited(audit_result(differs(parked=True), differs("T-18"), parked=[parked()]))

    assert [(finding.rows, finding.veto) for finding in report.findings] == [
        (["T-17"], False), (["T-18"], True), (["trade/T-9"], True),
    ]  # fmt: skip


def test_the_log_is_mended_before_tables_are_made_from_it() -> None:
    report = audited(
        audit_result(
            differs(), differs("T-18"), broken_log(),
            found("outbox", "broken", "", "source app-1", "row 7 is altered"), parked=[parked()],
        )
    )  # fmt: skip

    assert [action.command for action in report.recommendations] == [
        "memferry mend",
        "memferry outbox --check",
        "memferry parked retry --all",
        "memferry audit bisect --table trades --key T-17",
        "memferry replay --to-end",
    ]
    assert report.recommendations[0].position == "topic t.1, partition 2, offset 9"
    assert report.recommendations[-1].changes == "2 rows of trades change"
    assert report.recommendations[-1].why.startswith("once the log goes on")


def test_a_held_projection_is_replayed_to_where_it_holds() -> None:
    report = audited(audit_result(differs(), state="held"))

    action = report.recommendations[-1]
    assert action.command == "memferry replay --to-offset 0:41210,1:39877,2:40112"
    assert action.position == "0:41210,1:39877,2:40112"
    assert action.changes == "1 row of trades changes"


def test_memory_that_differs_does_not_have_the_tables_made_anew() -> None:
    report = audited(audit_result(found("memory", "missing")))

    assert [action.command for action in report.recommendations] == [
        "memferry audit bisect --table trades --key T-1 --with-memory"
    ]


def test_rows_of_other_code_are_told_and_can_be_made_anew() -> None:
    report = audited(audit_result(changed={"trade": ["handler"]}))

    assert report.passed
    assert any("kind trade: its rows were made with other code" in line for line in report.coverage)
    assert [action.command for action in report.recommendations] == ["memferry replay --to-end"]
    assert report.recommendations[0].changes == "all rows are made anew by this code"
