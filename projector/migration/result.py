"""What a run came to, for programs."""

from typing import Literal

import msgspec

from projector.audit.validation import Validation
from projector.migration.record import Mode
from projector.route import Route


class PhaseResult(msgspec.Struct, frozen=True):
    """One stay in a phase, this run's or an earlier one's of the same migration."""

    phase: str
    outcome: str
    detail: str
    started_s: float
    """Since the migration began."""
    seconds: float


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
    phases: list[PhaseResult]
    validation: Validation | None
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
