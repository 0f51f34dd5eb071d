"""A migration's effects, recorded: what a run would do, from the same phases."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import psycopg

from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.audit.run import audit
from projector.audit.validation import validate
from projector.backup.programs import find_programs
from projector.migration.effects import Told
from projector.migration.record import Mode
from projector.migration.switch import Switched
from projector.replay.savepoints import Savepoint
from projector.sources import asking
from schemas.domain import Domain
from schemas.requests import RequestKind
from schemas.settings import Settings


class RecordedEffects:
    """A dry run's: each effect is a line of `said`, and nothing is left behind."""

    dry = True

    def __init__(
        self, settings: Settings, domain: Domain, conn: psycopg.Connection[Any], projection: str
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._conn = conn
        self._projection = projection
        self.migration = "dry-run"
        self.said: list[str] = []

    async def open(self, mode: Mode, first_phase: str) -> tuple[Mode, str]:
        """Say what would begin."""
        self.said.append(f"begin a {mode.replace('_', ' ')} migration of {self._projection!r}")
        return mode, first_phase

    async def sources(self) -> list[str]:
        """Nobody is waited for."""
        return []

    def enter(self, phase: str) -> None:
        """Say it."""
        self.said.append(f"{phase}:")

    def leave(self, outcome: str, detail: str) -> None:
        """Say what was found."""
        if detail:
            self.said.append(f"  found: {detail}")

    def end(self, state: Literal["finished", "undone"], reason: str) -> None:
        """Say it."""
        self.said.append(f"end: {state}{f', {reason}' if reason else ''}")

    async def ask(
        self,
        sources: Sequence[str],
        kind: RequestKind,
        timeout_s: float,
        told: Told = lambda _: None,
    ) -> dict[str, Any]:
        """Say who would be asked; ask for catalogs, which change nothing in any app."""
        what = {
            "catalog": "for its catalog",
            "snapshot": "to record what the log does not hold yet",
            "barrier": "to put a barrier into every partition",
            "statistics": "what its entities hold",
            "extraction": "for its entities",
            "sample": "to read a sample from memory and tables",
            "memory": "what its memory holds",
        }
        self.said += [f"  ask source {source} {what[kind]}" for source in sources]
        if kind != "catalog" or not sources:
            return {}
        # The request's row is gone when the answer is read: nothing is left behind.
        with asking(self._conn, self._projection, sources, kind) as asked:
            return await asyncio.to_thread(asked.answers, timeout_s, told)

    async def savepoint(self, name: str) -> Savepoint | None:
        """Say it."""
        self.said.append(f"  take savepoint {name}")
        return None

    async def backup(self, name: str) -> str:
        """Say it, once it is known with what."""
        if not self._settings.backup.before_migration:
            self.said.append("  no backup is made (`backup.before_migration`)")
            return ""
        programs = find_programs(self._settings, self._conn.info.server_version)
        self.said.append(
            f"  back up to {self._settings.backup_path / name}, by pg_dump {programs.major}"
        )
        return name

    async def audit(self, timeout_s: float) -> AuditResult:
        """Compare log and tables, which leaves nothing behind."""
        self.said.append("  ask every source what its memory holds, at a barrier of its own")
        return await audit(self._settings, self._domain, with_memory=False, timeout_s=timeout_s)

    async def keep_digests(self, sources: Sequence[str], timeout_s: float) -> AuditResult | None:
        """Say it."""
        self.said.append(f"  {len(self._domain.tables)} tables keep digests until the end")
        return None

    async def validate(self, timeout_s: float) -> Report:
        """Look at the tables on the five levels, which leaves nothing behind."""
        return await validate(self._settings, self._domain, "tables", timeout_s=timeout_s)

    def analyze(self) -> None:
        """Say it."""
        self.said.append(f"  ANALYZE {len(self._domain.tables)} tables")

    async def hold(self, sources: Sequence[str]) -> None:
        """Say it."""
        self.said.append(
            f"  hold writes of {', '.join(sources)} until the cutover, at most "
            f"{self._settings.migration.timeout_ms} ms"
        )

    def require_held(self) -> None:
        """Nobody is held."""

    async def release(self) -> float:
        """Say it."""
        self.said.append("  let writes go on")
        return 0.0

    async def shadow(self, route: Literal["memory", "shadow"], sources: Sequence[str]) -> None:
        """Say it."""
        self.said.append(f"  reads go to {route}")

    async def switch(
        self, route: Literal["memory", "postgres"], sources: Sequence[str]
    ) -> Switched | None:
        """Say it."""
        self.said.append(
            f"  fence {', '.join(sources)} for at most {self._settings.migration.max_downtime_ms} "
            f"ms, barriers with a higher epoch, reads go to {route}"
        )
        return None

    def clean(self) -> None:
        """Say it."""
        self.said.append("  remove requests that nobody waits for")
