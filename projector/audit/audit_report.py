"""A report of an audit: the witnesses' equality, what disagrees, and what to do about it."""

import datetime
import shlex
from collections.abc import Iterable, Sequence

from projector.audit.audit_actions import actions_of, next_command
from projector.audit.compare import WHOLE_TABLE, Finding
from projector.audit.levels.level import ROWS_NAMED
from projector.audit.report import Report, ReportFinding, TableEquality, TimeSeries
from projector.audit.result import AuditResult
from projector.audit.score import score_of

_PARKED = ": their events are parked"
_WHAT = {
    ("tables", "missing"): "rows of the log are not in the table",
    ("tables", "extra"): "rows that no event explains",
    ("tables", "differs"): "rows are not as the log says",
    ("tables", "void"): "the tables do not obey what is void in the log",
    ("memory", "missing"): "memory lacks what the log has",
    ("memory", "extra"): "memory holds what no event explains",
    ("memory", "differs"): "memory is not as the log says",
    ("memory", "misplaced"): "entities are filed under another one's key",
    ("log", "differs"): "the log ends on another event than the app wrote",
    ("log", "broken"): "records of the log do not continue each other",
    ("outbox", "broken"): "the outbox is not whole",
}


def report_of_audit(
    result: AuditResult,
    *,
    projection: str,
    started_at: datetime.datetime,
    threshold: float,
    series: Sequence[TimeSeries] = (),
) -> Report:
    """Report an audit; `series` are figures of the audits before it."""
    tables = sorted((_table(result, name) for name in result.equal), key=lambda one: one.equal)
    findings = [*findings_of(result.findings), *_further(result)]
    score = score_of([], tables or None, threshold, findings)
    return Report(
        "audit",
        projection,
        _source(result),
        result.position,
        started_at,
        result.seconds,
        score.passed and result.all_equal,
        score,
        tables,
        [],
        findings,
        _coverage(result),
        [],
        list(series),
        actions_of(result),
        result.voids,
    )


def findings_of(found: Iterable[Finding]) -> list[ReportFinding]:
    """Return what is wrong, rows of one table that are wrong in one way as one finding."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for one in found:
        alone = () if one.table else (one.key, one.detail)
        groups.setdefault((one.witness, one.problem, one.table, one.parked, *alone), []).append(one)
    return [_finding(group) for group in groups.values()]


def _finding(group: Sequence[Finding]) -> ReportFinding:
    first = group[0]
    what = _WHAT.get((first.witness, first.problem), f"{first.witness}: {first.problem}")
    observed, expected = _values(first)
    return ReportFinding(
        "equality",
        f"{first.witness}.{first.problem}",
        what + (_PARKED if first.parked else ""),
        f"{first.witness}, {first.table}" if first.table else first.witness,
        len(group),
        [one.key for one in group[:ROWS_NAMED]],
        observed,
        expected,
        next_command(first),
        veto=not first.parked,
    )


def _values(finding: Finding) -> tuple[str, str]:
    """Return what is there, and what the log says."""
    if finding.problem == "missing" and finding.key == WHOLE_TABLE:
        return finding.detail, "its rows"
    if finding.problem == "missing":
        return "no row", f"a row: {finding.detail}" if finding.detail else "a row"
    if finding.columns:
        return (
            ", ".join(f"{one.column} = {one.observed}" for one in finding.columns),
            ", ".join(f"{one.column} = {one.expected}" for one in finding.columns),
        )
    return finding.detail, ""


def _further(result: AuditResult) -> list[ReportFinding]:
    further = []
    if result.unnamed:
        further.append(
            ReportFinding(
                "equality", "rows.unnamed", "more rows disagree than are named", "all tables",
                result.unnamed, [], next="memferry audit --full",
            )
        )  # fmt: skip
    if result.parked:
        first = result.parked[0]
        further.append(
            ReportFinding(
                "equality", "events.parked", "streams wait behind an event that is parked",
                "tables", len(result.parked), [one.stream for one in result.parked[:ROWS_NAMED]],
                first.reason, "", f"memferry parked show {shlex.quote(first.stream)}", veto=True,
            )
        )  # fmt: skip
    return further


def _table(result: AuditResult, name: str) -> TableEquality:
    return TableEquality(
        name,
        result.equal[name],
        result.rows.get(name, 0),
        result.table_rows.get(name, 0) if result.tables_compared else None,
        result.memory_rows.get(name, 0) if result.memory_compared else None,
    )


def _source(result: AuditResult) -> str:
    asked = {"memory": result.memory_compared, "log": True, "tables": result.tables_compared}
    *others, last = [name for name, compared in asked.items() if compared]
    return f"{', '.join(others)} and {last}" if others else last


def _coverage(result: AuditResult) -> list[str]:
    said = [f"{result.events:,} events were folded; the log has {sum(result.rows.values()):,} rows"]
    if result.voids:
        said.append(f"obeyed voids: {', '.join(result.voids)}")
    if not result.memory_compared:
        said.append("memory was not asked")
    if not result.tables_compared:
        said.append("the tables were not compared")
    said += result.coverage
    if result.duplicates_in_log:
        at = f", the first at {result.duplicates_at[0]}" if result.duplicates_at else ""
        said.append(
            f"{result.duplicates_in_log:,} records are in the log a second time{at}: harmless, "
            "they are skipped"
        )
    said += [
        f"kind {kind}: its rows were made with other code than this ({', '.join(parts)})"
        for kind, parts in result.changed.items()
    ]
    return said
