"""What a run came to, for programs."""

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from projector.audit.audit_report import report_of_audit
from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.migration.record import Mode, PhaseRecord
from projector.route import Route
from schemas.settings import Settings


def last_audit(settings: Settings, projection: str, audits: Sequence[AuditResult]) -> Report | None:
    """Return the last audit's report; None where there was none."""
    if not audits:
        return None
    now = datetime.datetime.now(datetime.UTC)
    return report_of_audit(
        audits[-1], projection=projection, started_at=now, threshold=settings.audit.threshold
    )


class PhaseResult(msgspec.Struct, frozen=True):
    """One stay in a phase, this run's or an earlier one's of the same migration."""

    phase: str
    outcome: str
    detail: str
    started_s: float
    """Since the migration began."""
    seconds: float


def phase_results(records: Sequence[PhaseRecord]) -> list[PhaseResult]:
    """Return what the ledger has of each stay in a phase, counted from the first."""
    return [
        PhaseResult(
            record.phase,
            record.outcome,
            record.detail,
            (record.entered_at - records[0].entered_at).total_seconds(),
            ((record.left_at or record.entered_at) - record.entered_at).total_seconds(),
        )
        for record in records
    ]


class MigrationResult(msgspec.Struct, frozen=True):
    """`finished`: reads are in PostgreSQL. `undone`: everything is as before; `reason` says why.

    `planned`: a dry run; `effects` are what a run would do, in order.
    """

    migration: str
    mode: Mode
    state: Literal["finished", "undone", "planned"]
    reason: str
    next_step: str
    route: Route
    cutover_pause_ms: float | None
    """The longest that a writer stood still, by its own clock; None without a cutover."""
    fence_ms: float | None
    """From asking for the fence to the decision, by this run's clock."""
    epoch: int | None
    sources: list[str]
    savepoints: list[str]
    backup: str
    """The backup made before; empty: none."""
    phases: list[PhaseResult]
    audit: Report | None
    """The last comparison of memory, log and tables."""
    validation: Report | None
    """What the five levels said of the tables."""
    effects: list[str] = []

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end, or a dry run found nothing in the way."""
        return self.state == "finished" or (self.state == "planned" and not self.reason)


class SwitchResult(msgspec.Struct, frozen=True):
    """A switch of reads by itself."""

    route: Route
    epoch: int
    pause_ms: float
    """The longest that a writer stood still, by its own clock."""
    fence_ms: float
    sources: list[str]
