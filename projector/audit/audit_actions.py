"""What to do about what an audit found: commands, with what each would change."""

from collections import Counter
from collections.abc import Sequence

from projector.audit.commands import bisect_command
from projector.audit.compare import WHOLE_TABLE, Finding
from projector.audit.report import Recommendation
from projector.audit.result import AuditResult

_BISECTED = 3
_TABLES_NAMED = 4
_OF_WITNESS = {"log": "memferry mend", "outbox": "memferry outbox --check"}


def next_command(finding: Finding) -> str:
    """Return the command that says more of a finding."""
    if finding.parked:
        return "memferry parked list"
    if finding.problem == "void":
        return "memferry replay --to-end"
    if finding.witness in _OF_WITNESS:
        return _OF_WITNESS[finding.witness]
    if finding.key == WHOLE_TABLE:
        return "memferry sql check"
    if not finding.table or _names_no_row(finding):
        return "memferry audit --full"
    return bisect_command(finding.table, finding.key, in_memory=finding.witness == "memory")


def actions_of(result: AuditResult) -> list[Recommendation]:
    """Return what to do, in this order: the log first, since all the rest is made from it."""
    found = [finding for finding in result.findings if not finding.parked]
    return [
        *_of_log([finding for finding in found if finding.witness == "log"]),
        *_of_outbox([finding for finding in found if finding.witness == "outbox"]),
        *_of_parked(result),
        *_of_rows([finding for finding in found if finding.witness in {"tables", "memory"}]),
        *_of_tables(result, [finding for finding in found if finding.witness == "tables"]),
    ]


def _of_log(found: Sequence[Finding]) -> list[Recommendation]:
    if not found:
        return []
    return [
        Recommendation(
            "memferry mend",
            f"{found[0].key}: {found[0].detail or 'the log is broken'}",
            "nothing yet: it shows what would let the log go on, and what is lost by it; "
            "with --reason TEXT it decides",
            found[0].key,
        )
    ]


def _of_outbox(found: Sequence[Finding]) -> list[Recommendation]:
    if not found:
        return []
    return [
        Recommendation(
            "memferry outbox --check",
            f"{found[0].key}: {found[0].detail}",
            "nothing: it reads the file of that source and names each event that is not as it "
            "was written",
        )
    ]


def _of_parked(result: AuditResult) -> list[Recommendation]:
    if not result.parked:
        return []
    events = sum(stream.events for stream in result.parked)
    return [
        Recommendation(
            "memferry parked retry --all",
            f"once it is mended: {result.parked[0].reason}",
            f"applies {_count(events, 'event')} of {_count(len(result.parked), 'stream')} to the "
            "tables; what is refused again stays parked",
            result.parked[0].place,
        )
    ]


def _of_rows(found: Sequence[Finding]) -> list[Recommendation]:
    """Of the first row of each table: since when it differs."""
    first: dict[str, Finding] = {}
    for finding in found:
        if finding.table and not _names_no_row(finding):
            first.setdefault(finding.table, finding)
    return [
        Recommendation(
            next_command(finding),
            f"{finding.witness}, {finding.table}: {finding.key} is {_PROBLEMS[finding.problem]}",
            "nothing: it finds the event from which on the row is not as the log says",
            "" if finding.problem == "extra" else finding.detail,
        )
        for finding in list(first.values())[:_BISECTED]
    ]


_PROBLEMS = {
    "missing": "missing",
    "extra": "a row that no event explains",
    "differs": "not as the log says",
    "misplaced": "filed under another key",
    "broken": "broken",
}


def _of_tables(result: AuditResult, found: Sequence[Finding]) -> list[Recommendation]:
    """Of tables that differ, or were made by other code: make them anew."""
    if not found and not result.changed:
        return []
    to_end = result.state != "held"
    if found:
        rows = Counter(finding.table for finding in found if finding.table)
        whole = not any(finding.witness == "log" for finding in result.findings)
        why = f"{'' if whole else 'once the log goes on: '}the tables are made anew from the log"
        told = [f"{_count(rows[table], 'row')} of {table}" for table in rows]
        changes = f"{', '.join(told[:_TABLES_NAMED])} {'changes' if len(found) == 1 else 'change'}"
        if not told:
            changes = "rows are as if what is void had never been recorded"
        if len(told) > _TABLES_NAMED:
            changes += f", and of {_count(len(told) - _TABLES_NAMED, 'more table')}"
        if result.unnamed:
            changes += f", and {_count(result.unnamed, 'more row')}"
    else:
        why = f"kind {', '.join(result.changed)}: other code than this made the rows"
        changes = "all rows are made anew by this code"
    return [
        Recommendation(
            "memferry replay --to-end" if to_end
            else f"memferry replay --to-offset {result.position}",
            f"{why}; while reads are in PostgreSQL, `memferry switch-back` comes first",
            changes,
            "the end of the log" if to_end else result.position,
        )
    ]  # fmt: skip


def _names_no_row(finding: Finding) -> bool:
    """Say whether it is known only that a part of the table differs."""
    if finding.key == WHOLE_TABLE:
        return True
    return finding.key.startswith("bucket ") and not (finding.stream or finding.columns)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
