"""Reports as audits come to them, made by hand."""

import datetime

from projector.audit.report import LevelScore, Report, ReportFinding, Score, TableEquality

BEGUN = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def report(*findings: ReportFinding, rows: int = 10, score: float = 100.0) -> Report:
    """Return a report of an audit; it is clean where nothing was found."""
    return Report(
        kind="audit",
        projection="p",
        source="log and tables",
        position="0:7",
        started_at=BEGUN,
        seconds=1.5,
        passed=not findings,
        score=Score(score, 95.0, [LevelScore("equality", score, 100.0, rows, 0)], []),
        tables=[TableEquality("accounts", not findings, rows, rows, None)],
        levels=[],
        findings=list(findings),
        coverage=["all was looked at"],
    )


def finding(rule: str, *rows: str, where: str = "tables, accounts") -> ReportFinding:
    """Return what is wrong with some rows."""
    return ReportFinding("equality", rule, "something is wrong", where, len(rows), list(rows))
