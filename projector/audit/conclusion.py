"""What an audit's findings come to: those of the log added, those that parked streams explain."""

from collections.abc import Sequence
from typing import Any

import psycopg

from projector.audit.compare import Finding, with_reasons
from projector.audit.log_fold import LogFold
from projector.audit.result import AuditResult
from projector.audit.writer_sums import WriterSums
from projector.fingerprint import changed_parts
from projector.parked import parked_streams
from schemas.domain import Domain
from schemas.tables import Table


def note(result: AuditResult, found: Finding) -> None:
    """Add a finding, once."""
    if found not in result.findings:
        result.findings.append(found)


def note_log(result: AuditResult, fold: LogFold) -> None:
    """Add what is wrong with the log as far as a fold has read it."""
    for stream, failed in fold.failures.items():
        note(result, Finding("log", "broken", "", failed.where, stream, detail=failed.what))
    for place, said in fold.duplicates.misfits:
        note(result, Finding("log", "broken", "", place, detail=said))


def conclude(
    conn: psycopg.Connection[Any],
    projection: str,
    domain: Domain,
    tables: Sequence[Table],
    *,
    result: AuditResult,
    fold: LogFold,
    writers: WriterSums,
) -> None:
    """Say of each table whether it is equal; the fold is where the audit ended."""
    note_log(result, fold)
    if not result.position:  # the tables were not asked for
        result.parked = parked_streams(conn, projection)
    parked = {stream.stream for stream in result.parked}
    found = [*result.findings, *writers.findings]
    # An event that is parked need not fold; it is among the parked ones.
    found = [f for f in found if not (f.witness == "log" and f.stream in parked)]
    result.findings = with_reasons(found, parked, domain)
    result.changed = changed_parts(conn, projection, domain)
    unequal = {finding.table for finding in result.findings}
    compared = result.tables_compared or result.memory_compared
    result.equal = {table.name: table.name not in unequal for table in tables if compared}
    result.events += fold.events
    result.duplicates_in_log = fold.duplicates.count
    result.duplicates_at = fold.duplicates.places
    if writers.compared:
        result.coverage.append(
            f"{writers.compared:,} times an app's own sums were compared between barriers"
        )
