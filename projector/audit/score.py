"""The quality in one number, and what closes the gate whatever that number is.

Source: docs/reports.md
"""

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Literal, TypeAlias

from projector.audit.levels.level import LevelName, LevelResult
from projector.audit.report import LevelScore, ReportFinding, Score, TableEquality

Scored: TypeAlias = LevelName | Literal["equality"]

# Of 100. The nearer a level is to proof, the more it weighs. Equality compares independent
# witnesses of the same rows; business rules compute figures anew from others; syntax and references
# hold or do not; ranges may be set too narrow, and the statistical level only supposes.
WEIGHTS: dict[Scored, float] = {
    "equality": 40.0,
    "syntax": 15.0,
    "semantic": 10.0,
    "business": 20.0,
    "cross_reference": 10.0,
    "statistical": 5.0,
}
_NEARLY = math.nextafter(100.0, 0.0)
_SHOWN = Decimal("0.01")


def score_of(
    levels: Sequence[LevelResult],
    tables: Sequence[TableEquality] | None,
    threshold: float,
    findings: Iterable[ReportFinding] = (),
) -> Score:
    """Score levels and, where witnesses were compared, their equality.

    `tables`: None where nothing was compared. `findings`: those of the level "equality" say how
    many rows disagree; those that veto are named. What the levels found is in their results.

    A level's score is the share of its records that are sound, less the share of its rules that a
    breach of no single record (a drift, a store without a rule) breaks. A level that looked at
    nothing, or by no rule, has no weight: the others share it. Nothing looked at at all scores 0.
    """
    of_equality = [finding for finding in findings if finding.level == "equality"]
    scores = [] if tables is None else [_of_tables(tables, of_equality)]
    scores += [_of_level(result) for result in levels]
    weight = sum(WEIGHTS[name] for name, score, _, _, _ in scores if score is not None)
    weighed = [
        LevelScore(
            name,
            score or 0.0,
            0.0 if score is None else 100 * WEIGHTS[name] / weight,
            looked,
            broken,
            sampled,
        )
        for name, score, looked, broken, sampled in scores
    ]
    return Score(_total(weighed), threshold, weighed, _vetoes(levels, tables or (), of_equality))


def score_text(score: float) -> str:
    """Return a score for people: cut, not rounded, so that 100 is shown for nothing less."""
    cut = Decimal(score).quantize(_SHOWN, ROUND_DOWN)
    return f"{cut.normalize():f}"


_Raw: TypeAlias = tuple[Scored, float | None, int, int, float]


def _of_tables(tables: Sequence[TableEquality], findings: Sequence[ReportFinding]) -> _Raw:
    rows = sum(max(t.log_rows, t.table_rows or 0, t.memory_rows or 0) for t in tables)
    unequal = sum(not table.equal for table in tables)
    broken = max(sum(finding.count for finding in findings), unequal)
    if not tables:
        return "equality", (0.0 if broken else None), 0, broken, 1.0
    return "equality", _share(rows, broken), rows, broken, 1.0


def _of_level(result: LevelResult) -> _Raw:
    broken = max([result.broken, *(breach.count for breach in result.breaches)])
    if not (result.looked and result.rules):
        return (
            result.level,
            (0.0 if result.breaches else None),
            result.looked,
            broken,
            result.sampled,
        )
    share = _share(result.looked, broken)
    whole = sum(not breach.count for breach in result.breaches)
    if whole:
        share = max(0.0, share - 100.0 * whole / max(len(result.rules), whole))
    return result.level, share, result.looked, broken, result.sampled


def _share(looked: int, broken: int) -> float:
    if not broken:
        return 100.0
    return min(_NEARLY, max(0.0, 100.0 * (looked - broken) / max(looked, 1)))


def _total(levels: Sequence[LevelScore]) -> float:
    counted = [level for level in levels if level.weight]
    if not counted:
        return 0.0
    total = sum(level.score * level.weight for level in counted) / 100
    if all(level.score == 100 for level in counted):  # sums of weights are not exact
        return 100.0
    return min(total, _NEARLY)


def _vetoes(
    levels: Sequence[LevelResult],
    tables: Sequence[TableEquality],
    findings: Sequence[ReportFinding],
) -> list[str]:
    vetoing = [found for found in findings if found.veto]
    named = {found.where for found in vetoing}
    said = [f"{found.where}: {found.what}" for found in vetoing]
    said += [
        f"table {table.table}: the witnesses differ"
        for table in tables
        if not (table.equal or any(where.endswith(f", {table.table}") for where in named))
    ]
    said += [
        f"{breach.rule}: {breach.what}"
        for result in levels
        for breach in result.breaches
        if breach.veto
    ]
    return list(dict.fromkeys(said))
