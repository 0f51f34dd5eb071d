"""A report of what the five levels found, in one source or in several."""

import datetime
import shlex
from collections.abc import Mapping, Sequence

from projector.audit.levels.level import LEVELS, Breach, LevelName, LevelResult
from projector.audit.report import (
    Distribution,
    Recommendation,
    Report,
    ReportFinding,
    TableEquality,
    TimeSeries,
)
from projector.audit.score import score_of

_OUR_SOURCES = {"memory", "log", "tables"}
_RECOMMENDED = 5


def report_of_validation(
    levels: Mapping[str, Sequence[LevelResult]],
    *,
    projection: str,
    position: str,
    started_at: datetime.datetime,
    seconds: float,
    threshold: float,
    tables: Sequence[TableEquality] | None = None,
    coverage: Sequence[str] = (),
    distributions: Sequence[Distribution] = (),
    series: Sequence[TimeSeries] = (),
) -> Report:
    """Report the results of each source, by its name: `memory`, `log`, `tables`, or a file's.

    The results of one level in several sources count together; each finding says of which it is.
    """
    merged = merged_levels(levels)
    found = [
        (source, _finding(source, breach))
        for name in LEVELS
        for source, results in levels.items()
        for result in results
        if result.level == name
        for breach in result.breaches
    ]
    findings = [finding for _, finding in found]
    score = score_of(merged, tables, threshold)
    return Report(
        "validation",
        projection,
        " and ".join(levels),
        position,
        started_at,
        seconds,
        score.passed,
        score,
        list(tables or ()),
        merged,
        findings,
        [*coverage, *coverage_of(merged)],
        list(distributions),
        list(series),
        _recommendations(found),
    )


def merged_levels(levels: Mapping[str, Sequence[LevelResult]]) -> list[LevelResult]:
    """Return each level's results of all sources as one, in the order of the levels."""
    merged = []
    for name in LEVELS:
        found = {
            source: result
            for source, results in levels.items()
            for result in results
            if result.level == name
        }
        if found:
            merged.append(_merge(name, found, several=len(levels) > 1))
    return merged


def coverage_of(levels: Sequence[LevelResult]) -> list[str]:
    """Say what the levels looked at, and what not."""
    said = []
    for result in levels:
        if not result.looked:
            said.append(f"level {result.level}: looked at nothing; it has no weight in the score")
        elif not result.rules:
            said.append(f"level {result.level}: there are no rules; it has no weight in the score")
        elif result.sampled < 1:
            said.append(
                f"level {result.level}: {result.sampled:.1%} of {result.looked:,} records were seen"
            )
        said += [f"level {result.level}: {skipped}" for skipped in result.skipped]
    left = [name for name in LEVELS if name not in {result.level for result in levels}]
    if left:
        said.append(f"not asked for: level{'s' if len(left) > 1 else ''} {', '.join(left)}")
    return said


def _merge(name: LevelName, found: Mapping[str, LevelResult], *, several: bool) -> LevelResult:
    looked = sum(result.looked for result in found.values())
    seen = sum(result.looked * result.sampled for result in found.values())
    return LevelResult(
        name,
        looked,
        sum(result.broken for result in found.values()),
        list(dict.fromkeys(rule for result in found.values() for rule in result.rules)),
        [breach for result in found.values() for breach in result.breaches],
        [
            f"{source}: {skipped}" if several else skipped
            for source, result in found.items()
            for skipped in result.skipped
        ],
        seen / looked if looked else 1.0,
        sum(result.seconds for result in found.values()),
    )


def _finding(source: str, breach: Breach) -> ReportFinding:
    return ReportFinding(
        breach.level,
        breach.rule,
        breach.what,
        f"{source}, {breach.kind}" if breach.kind else source,
        breach.count,
        breach.rows,
        breach.observed,
        breach.expected,
        breach.next or _next(source),
        breach.veto,
    )


def _next(source: str) -> str:
    """Of a record of the app, whether all witnesses have it so; of a file, the file once more."""
    if source in _OUR_SOURCES:
        return "memferry audit"
    return f"memferry validate --source {shlex.quote(source)}"


def _recommendations(findings: Sequence[tuple[str, ReportFinding]]) -> list[Recommendation]:
    """Of findings with one command, one; what is to be done by hand is followed by a new look."""
    by_command: dict[str, list[ReportFinding]] = {}
    for source, finding in findings:
        command = finding.next if finding.next.startswith("memferry ") else _next(source)
        by_command.setdefault(command, []).append(finding)
    made = []
    for command, found in by_command.items():
        first = f"{found[0].where}: {found[0].what}"
        left = len(found) - 1
        more = f", and {left:,} more finding{'' if left == 1 else 's'}" if left else ""
        made.append(Recommendation(command, f"{first}{more}", _changes(command)))
    return made[:_RECOMMENDED]


def _changes(command: str) -> str:
    if command.startswith("memferry validate"):
        return "nothing: it looks again, once what was found is corrected"
    if command.startswith("memferry audit bisect"):
        return "nothing: it finds the event from which on the row is not as the log says"
    if command.startswith("memferry audit"):
        return "nothing: it says whether memory, log and tables hold the same"
    return "see `--help` of the command"
