"""An audit from beginning to end: kinds learned, witnesses compared, a report, the history."""

import datetime

import psycopg

from projector.audit.audit_report import report_of_audit
from projector.audit.history import kept_audits
from projector.audit.kept import kept
from projector.audit.report import Report, TimeSeries
from projector.audit.result import AuditResult
from projector.audit.run import audit_with_marks
from projector.audit.scope import Scope
from projector.audit.trend import series_of
from projector.control_tables import connect
from projector.declared import whole_domain
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings

_PAST = 100


class AuditWork:
    """Makes audits of one scope, one after the other; knows the newest's result."""

    def __init__(self, settings: Settings, hand_written: Domain, scope: Scope) -> None:
        self._settings = settings
        self._hand_written = hand_written
        self._scope = scope
        self.projection = settings.projection or hand_written.name
        self.result: AuditResult | None = None

    async def __call__(self) -> Report:
        """Make one; the app may have declared kinds since the one before."""
        started_at = datetime.datetime.now(datetime.UTC)
        domain = await whole_domain(self._settings, self._hand_written)
        done = await audit_with_marks(self._settings, domain, self._scope)
        self.result = done.result
        return report_of_audit(
            done.result,
            projection=self.projection,
            started_at=started_at,
            threshold=self._settings.audit.threshold,
            series=self._past(),
        )

    def _past(self) -> list[TimeSeries]:
        try:
            with connect(self._settings, "audit history") as conn:
                kept = kept_audits(conn, self.projection, _PAST)
        except (psycopg.Error, FerryError):  # no history is no finding
            return []
        return series_of([one for one in kept if one.kind == "audit"])


async def kept_audit(settings: Settings, domain: Domain, scope: Scope) -> AuditResult:
    """Audit as `audit` does, and keep it in the history: the way of a migration's gate."""
    work = AuditWork(settings, domain, scope)
    with kept(settings, work.projection, "audit") as keeping:
        keeping.ended(await work())
    if work.result is None:
        raise RuntimeError("an audit without an error has a result")
    return work.result
