"""A migration's effects, done: in PostgreSQL, in the control topic, in the running apps."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import psycopg
from psycopg import sql

from projector.audit.kept_digests import begin_keeping, end_keeping, kept_tables
from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.audit.run import audit_with_marks
from projector.audit.scope import Scope
from projector.audit.validation import validate
from projector.audit.work import kept_audit
from projector.backup.taking import take_before
from projector.control_tables import establish
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.log import Log
from projector.migration import fences
from projector.migration.effects import Told
from projector.migration.hold import Hold
from projector.migration.ledger import Ledger
from projector.migration.record import Mode
from projector.migration.switch import Switched, switch, switch_without_fence
from projector.migration.unchanged import Base, base_of
from projector.replay.savepoints import Savepoint, list_all, take
from projector.sources import active_sources, asking
from projector.sql import query
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.requests import RequestKind
from schemas.settings import Settings

log = logging.getLogger("memferry.migration")


class LiveEffects:
    """The effects themselves."""

    dry = False

    def __init__(
        self, settings: Settings, domain: Domain, conn: psycopg.Connection[Any], projection: str
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._conn = conn
        self._projection = projection
        self._ledger = Ledger(conn, projection)
        self._hold: Hold | None = None
        self._base: Base | None = None
        self.migration = ""

    async def open(self, mode: Mode, first_phase: str) -> tuple[Mode, str]:
        """Make what is missing, finish what a dead run left half done, then begin or take over."""
        settings, conn = self._settings, self._conn
        async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
            establish(conn, settings, self._domain, log.partitions)
        await self.sources()
        fences.settle(conn, settings, self._projection, "the run that asked for it ended")
        await publish_decisions(conn, settings)
        turn = self._ledger.begin(mode, first_phase)
        self.migration = turn.id
        return turn.mode, turn.phase

    async def sources(self) -> list[str]:
        """Read the control topic in, then the control tables."""
        await read_control(self._conn, self._settings)
        return active_sources(self._conn, self._settings.topic)

    def enter(self, phase: str) -> None:
        """Enter a phase, in the trail."""
        self._ledger.enter(phase)

    def leave(self, outcome: str, detail: str) -> None:
        """Leave it, in the trail."""
        self._ledger.leave(outcome, detail)

    def end(self, state: Literal["finished", "undone"], reason: str) -> None:
        """End the migration, in the trail; the tables keep digests no longer."""
        end_keeping(self._conn, self._projection)
        self._ledger.end(state, reason)

    async def ask(
        self,
        sources: Sequence[str],
        kind: RequestKind,
        timeout_s: float,
        told: Told = lambda _: None,
    ) -> dict[str, Any]:
        """Ask by a row and NOTIFY; raises SourceSilent."""
        with asking(self._conn, self._projection, sources, kind) as asked:
            return await asyncio.to_thread(asked.answers, timeout_s, told)

    async def savepoint(self, name: str) -> Savepoint | None:
        """Take it; one of that name, taken by the run before, stays."""
        for known in list_all(self._conn, self._projection):
            if known.name == name:
                return known
        purpose, _, _ = name.rpartition("-")
        return await take(self._conn, self._settings, self._projection, name, purpose=purpose)

    async def backup(self, name: str) -> str:
        """Make it, beside everything else; what the run before has made stays."""
        return await asyncio.to_thread(take_before, self._settings, self._projection, name)

    async def audit(self, timeout_s: float) -> AuditResult:
        """Compare memory, log and tables; the history keeps it."""
        return await kept_audit(self._settings, self._domain, Scope(timeout_s=timeout_s))

    async def keep_digests(self, sources: Sequence[str], timeout_s: float) -> AuditResult | None:
        """Have the tables keep digests, then compare: a later look need not read a row."""
        if self._base is not None:
            return None
        conn, name = self._conn, self._projection
        left = await asyncio.to_thread(begin_keeping, conn, name, self._domain)
        if left:
            log.info("compared by audits alone, for their columns' types: %s", ", ".join(left))
        scope = Scope(timeout_s=timeout_s)
        found = await audit_with_marks(self._settings, self._domain, scope, with_kept=True)
        if found.result.all_equal:
            self._base = base_of(found.marks, sources, kept_tables(conn, name))
        return found.result

    async def validate(self, timeout_s: float) -> Report:
        """Look at the tables on the five levels; the history keeps it."""
        return await validate(
            self._settings, self._domain, "tables", timeout_s=timeout_s, keep=True
        )

    def analyze(self) -> None:
        """ANALYZE every table of the projection."""
        for table in self._domain.tables:
            self._conn.execute(
                sql.SQL("ANALYZE {}").format(sql.Identifier(self._projection, table))
            )

    async def hold(self, sources: Sequence[str]) -> None:
        """Fence the writers, and renew the lease in a thread until `release`."""
        if self._hold is None:
            hold = Hold(self._settings, self._projection)
            await asyncio.to_thread(hold.take, sources)
            self._hold = hold

    def require_held(self) -> None:
        """Ask the thread that renews."""
        if self._hold is not None:
            self._hold.require_unbroken()

    async def release(self) -> float:
        """End the fence."""
        if self._hold is None:
            return 0.0
        hold, self._hold = self._hold, None
        return await asyncio.to_thread(hold.release)

    async def close(self) -> None:
        """Hold nobody any more, however the run ended; without PostgreSQL the lease does that."""
        with suppress(psycopg.Error):
            await self.release()

    async def shadow(self, route: Literal["memory", "shadow"], sources: Sequence[str]) -> None:
        """Decide, publish, announce."""
        await switch_without_fence(self._conn, self._settings, self._projection, route, sources)

    async def switch(
        self, route: Literal["memory", "postgres"], sources: Sequence[str]
    ) -> Switched | None:
        """Fence, barriers, comparison with what the tables kept, decision."""
        base = self._base if route == "postgres" else None
        self._base = None  # what comes behind a switch is another matter
        return await switch(self._conn, self._settings, self._projection, route, sources, base=base)

    def clean(self) -> None:
        """Remove requests that nobody waits for any more."""
        self._conn.execute(query("requests_clean"), (self._projection,))
