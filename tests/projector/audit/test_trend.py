from projector.audit.history import KeptAudit, Verdict
from projector.audit.report import TimeSeries
from projector.audit.trend import arrow, series_of, sparkline
from tests.projector.audit.reported import BEGUN


def kept(second: int, verdict: Verdict | None, score: float | None, findings: int) -> KeptAudit:
    begun = BEGUN.replace(second=second)
    return KeptAudit("i", "audit", "h", begun, None, verdict, "0:7", findings, 9, score, 0.5, "")


def test_series_are_of_audits_that_came_to_a_report_the_oldest_first() -> None:
    newest_first = [
        kept(5, None, None, 0),
        kept(4, "findings", 80.0, 3),
        kept(3, "error", None, 0),
        kept(2, "interrupted", None, 0),
        kept(1, "clean", None, 0),
    ]

    found = {series.name: series for series in series_of(newest_first)}

    at_s = [BEGUN.timestamp() + second for second in (1, 4)]
    assert found["findings"] == TimeSeries("findings", "findings", at_s, [0, 3])
    assert found["score"] == TimeSeries("score", "of 100", at_s[1:], [80])
    assert found["rows"].values == [9, 9]
    assert found["seconds"].values == [0.5, 0.5]
    assert series_of(newest_first[2:4]) == []


def test_an_arrow_says_where_a_value_went() -> None:
    assert [arrow(1, 2), arrow(2, 2), arrow(3, 2), arrow(None, 2), arrow(2, None)] == [
        "↓", "→", "↑", "", ""
    ]  # fmt: skip


def test_bars_stand_for_values() -> None:
    assert sparkline([]) == ""
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([0, 50, 100]) == "▁▅█"
