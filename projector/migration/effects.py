"""Everything by which a migration changes the world, in one place: done, or for a dry run recorded.

The phases know no other way. What is only looked at is looked at in both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.migration.record import Mode
from projector.migration.switch import Switched
from projector.replay.savepoints import Savepoint
from schemas.requests import RequestKind

Told = Callable[[Mapping[str, Any]], None]


class Effects(Protocol):
    """What a migration does; every one can be done again."""

    dry: bool
    migration: str
    """Its id, once begun."""

    async def open(self, mode: Mode, first_phase: str) -> tuple[Mode, str]:
        """Begin or take over; return the mode and the phase to begin with."""

    async def sources(self) -> list[str]:
        """Return the sources that are registered by now and not retired."""

    def enter(self, phase: str) -> None:
        """Enter a phase."""

    def leave(self, outcome: str, detail: str) -> None:
        """Leave it."""

    def end(self, state: Literal["finished", "undone"], reason: str) -> None:
        """End the migration."""

    async def ask(
        self, sources: Sequence[str], kind: RequestKind, timeout_s: float, told: Told = ...
    ) -> dict[str, Any]:
        """Ask the running apps; return each one's answer, nothing in a dry run."""

    async def savepoint(self, name: str) -> Savepoint | None:
        """Name the present position, once under a name."""

    async def backup(self, name: str) -> str:
        """Back the tables up, once under a name; return it, empty where none is wanted."""

    async def audit(self, timeout_s: float) -> AuditResult:
        """Compare the witnesses; in a dry run without memory, which would write a barrier."""

    async def keep_digests(self, sources: Sequence[str], timeout_s: float) -> AuditResult | None:
        """Have the tables keep digests until the end, and compare; None where that was done."""

    async def validate(self, timeout_s: float) -> Report:
        """Look at the tables on the five levels."""

    def analyze(self) -> None:
        """Let PostgreSQL's planner know the tables as they are."""

    async def hold(self, sources: Sequence[str]) -> None:
        """Hold writes until `release`, under a lease that is renewed."""

    def require_held(self) -> None:
        """Check that nobody wrote since `hold`; raises FenceBroken."""

    async def release(self) -> float:
        """Let writes go on; return for how many ms they were held, by the writers' clocks."""

    async def shadow(self, route: Literal["memory", "shadow"], sources: Sequence[str]) -> None:
        """Have reads compared behind the app's back, or no more."""

    async def switch(
        self, route: Literal["memory", "postgres"], sources: Sequence[str]
    ) -> Switched | None:
        """Move reads; raises FenceBroken."""

    def clean(self) -> None:
        """Remove what nobody needs after the end."""
