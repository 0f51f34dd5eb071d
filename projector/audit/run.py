"""One audit: memory, the fold of the log, and the tables, compared at one position and its voids.

What is void is part of the position. Where that changes while witnesses are compared, they may have
been of two positions, and the audit begins anew: rollbacks go on as they like.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import psycopg

from projector.audit.attempt import Attempt
from projector.audit.known import Known, VoidsMoved, know, wait_for_swap
from projector.audit.log_fold import LogSilent
from projector.audit.result import Audited, AuditResult
from projector.audit.scope import BarrierLate, PositionPassed, Scope
from projector.control_tables import connect, read_projection
from projector.sources import SourceSilent
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings
from schemas.void import VoidNotObeyed


async def audit(
    settings: Settings,
    domain: Domain,
    *,
    with_memory: bool = True,
    with_tables: bool = True,
    tables: Sequence[str] = (),
    position: Mapping[int, int] | None = None,
    full: bool = False,
    timeout_s: float = 60.0,
) -> AuditResult:
    """Compare the three witnesses; everything may go on meanwhile. The options are `Scope`'s.

    Raises: SourceSilent, BarrierLate, FoldInUse and the errors of reaching Kafka or PostgreSQL;
            VoidsMoved where rollbacks followed one another for `timeout_s`.
            Disagreement is no error: it is in the result's findings, as are records that do not
            continue each other. Nor is an event that is parked, even where the log does not fold
            over it.
    """
    scope = Scope(with_memory, with_tables, tables, position, full, timeout_s)
    return (await audit_with_marks(settings, domain, scope)).result


async def audit_with_marks(
    settings: Settings, domain: Domain, scope: Scope, *, with_kept: bool = False
) -> Audited:
    """Do as `audit`; return the sums behind the result, too.

    `with_kept`: also what the tables kept, in the same snapshot (see `kept_digests`).
    """
    started = time.monotonic()
    looking = _Looking(settings, domain, scope, started + scope.timeout_s)
    with closing(connect(settings, "audit")) as conn:
        known = await looking.settled(conn)
        while True:
            attempt = Attempt(settings, domain, scope, known, with_kept=with_kept)
            again = await looking.look(conn, attempt, known)
            if again is None:
                break
            known = again
    attempt.result.seconds = time.monotonic() - started
    return Audited(attempt.result, attempt.marks)


class _Looking:
    """Attempts at one audit, one after the other."""

    def __init__(self, settings: Settings, domain: Domain, scope: Scope, deadline: float) -> None:
        self._settings = settings
        self._name = settings.projection or domain.name
        self._scope = scope
        self._deadline = deadline

    async def look(
        self, conn: psycopg.Connection[Any], attempt: Attempt, known: Known
    ) -> Known | None:
        """Make an attempt; return what is known by now where that is not what it was made with."""
        failed: FerryError | None = None
        try:
            await attempt.look(conn)
        except (
            VoidNotObeyed, VoidsMoved,
            SourceSilent, BarrierLate, LogSilent, PositionPassed,  # perhaps for that reason
        ) as error:  # fmt: skip
            failed = error
        if failed is None and not attempt.result.findings:
            return None  # each mark that it came by, and the tables' snapshot, said the same
        now = await self.settled(conn)
        if now.is_as(known):
            if failed is not None:
                raise failed
            return None
        if time.monotonic() > self._deadline:
            raise VoidsMoved(
                f"ends of streams were voided, or counted again, for {self._scope.timeout_s:g} s",
                where=f"projection {self._name}",
                remedy="audit again once rollbacks have ended",
            ) from failed
        return now

    async def settled(self, conn: psycopg.Connection[Any]) -> Known:
        """Return what is known once no run is about to have the tables follow a void."""
        known = await self._know(conn)
        if self._scope.with_tables and known.unlike:
            await wait_for_swap(self._settings, self._name, known.records, self._deadline)
            known = await self._know(conn)
        return known

    async def _know(self, conn: psycopg.Connection[Any]) -> Known:
        projection = read_projection(conn, self._name)
        return await know(conn, self._settings, projection, keep=self._scope.with_memory)
