"""What a report says in words: the same in every form."""

import re

from projector.audit.report import Report, ReportFinding
from projector.audit.score import score_text

# What would steer a terminal, or show text in another order than it has.
_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
VETOES_SHOWN = 8
LEVEL_SAYS = {
    "equality": "memory, log and tables hold the same rows at one position",
    "syntax": "records decode and fit their schema",
    "semantic": "values are in range and in order",
    "business": "figures and states follow from each other",
    "cross_reference": "what is referred to is there",
    "statistical": "values are spread as expected",
}


def level_name(level: str) -> str:
    """Return a level's name for people."""
    return level.replace("_", "-")


def verdict(report: Report) -> str:
    """Return the whole report in one sentence."""
    found = count(len(report.findings), "finding")
    if not report.passed:
        vetoes = report.score.vetoes if report.score else []
        vetoed = f", {count(len(vetoes), 'veto', 'vetoes')}" if vetoes else ""
        return f"Not passed: {found}{vetoed}"
    if report.findings:
        return f"Passed, with {found}"
    if report.kind == "audit":
        return "Clean: every witness agrees"
    return "Clean: every rule holds"


def reason(report: Report) -> str:
    """Return why the gate is closed, or on what grounds it is open."""
    score = report.score
    if score is None:
        return "there is no score"
    told = f"score {score_text(score.total)}, threshold {score.threshold:g}"
    if score.vetoes:
        return f"{told}; a veto closes the gate whatever the score"
    if not any(level.weight for level in score.levels):
        return f"{told}: nothing was looked at"
    return told


def of_what(finding: ReportFinding) -> str:
    """Return what a finding counts, in the plural."""
    if finding.level != "equality":
        return "records"
    if finding.rule == "events.parked":
        return "streams"
    return "rows" if ", " in finding.where or finding.rule == "rows.unnamed" else "places"


def how_many(finding: ReportFinding) -> str:
    """Return how many of what are wrong: `3 rows`."""
    noun = of_what(finding)
    return count(finding.count, noun[:-1]) if finding.count else "of no single record"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def visible(text: str) -> str:
    """Return text in which control characters are written out, and lines end in spaces."""
    return _STEERS.sub(lambda found: _written_out(found[0]), text)


def _written_out(character: str) -> str:
    return " " if character in "\n\t" else ascii(character)[1:-1]
