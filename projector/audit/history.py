"""What audits and validations came to, kept in memferry.audit: begun, ended, read again.

Nothing is decided by it. Who may only read the database audits all the same, and keeps nothing.
"""

import datetime
import re
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import psycopg

from projector.audit.report import Report
from projector.sql import query
from schemas.errors import FerryError

Verdict: TypeAlias = Literal["clean", "findings", "error", "interrupted"]
AuditKind: TypeAlias = Literal["audit", "validation"]
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class AuditUnknown(FerryError):
    """No kept audit has that id, or more than one begins with it."""


class Begun(msgspec.Struct, frozen=True):
    """One audit or validation of a projection, and who makes it."""

    id: str
    projection: str
    kind: AuditKind
    holder: str
    started_at: datetime.datetime


class Ending(msgspec.Struct, frozen=True):
    """How an audit or a validation ended; a report where it came to one."""

    verdict: Verdict
    seconds: float
    report: Report | None = None
    error: str = ""

    @property
    def findings(self) -> int:
        """How many rows or records are not as they should be."""
        return 0 if self.report is None else sum(f.count for f in self.report.findings)

    @property
    def rows(self) -> int:
        """How many rows of the log were compared, or records looked at."""
        if self.report is None:
            return 0
        looked = max((level.looked for level in self.report.levels), default=0)
        return sum(table.log_rows for table in self.report.tables) or looked

    @property
    def score(self) -> float | None:
        """The quality score, where one was given."""
        if self.report is None or self.report.score is None:
            return None
        return self.report.score.total


class KeptAudit(msgspec.Struct, frozen=True):
    """One audit or validation as the history has it; no verdict: it is under way."""

    id: str
    kind: AuditKind
    holder: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    verdict: Verdict | None
    position: str
    findings: int
    rows: int
    score: float | None
    seconds: float
    error: str


class Interrupted(NamedTuple):
    """An audit that was begun, and whose process ended without a word."""

    id: str
    started_at: datetime.datetime
    holder: str


class LastAudits(NamedTuple):
    """When the newest audit that came to an end was begun, and when one was last found clean."""

    begun: datetime.datetime | None
    clean: datetime.datetime | None


def begin(conn: psycopg.Connection[Any], begun: Begun) -> None:
    """Note that one is under way; it counts as that for as long as this connection lives."""
    conn.execute(query("audit_mark"), (begun.id,))
    conn.execute(query("audit_begin"), msgspec.structs.asdict(begun))


def end(conn: psycopg.Connection[Any], begun: Begun, ending: Ending, keep_days: int) -> None:
    """Note how it ended, as begun, too, if need be; forget what is older than `keep_days`."""
    report = ending.report
    with conn.transaction():
        conn.execute(query("audit_begin"), msgspec.structs.asdict(begun))
        conn.execute(
            query("audit_end"),
            {
                "id": begun.id,
                "ended_at": begun.started_at + datetime.timedelta(seconds=ending.seconds),
                "verdict": ending.verdict,
                "position": "" if report is None else report.position,
                "findings": ending.findings,
                "rows": ending.rows,
                "score": ending.score,
                "seconds": ending.seconds,
                "report": None if report is None else _jsonb(report),
                "error": ending.error.replace("\0", "\ufffd"),
            },
        )
        conn.execute(query("audit_clean"), (begun.projection, keep_days))


def note_interrupted(conn: psycopg.Connection[Any], projection: str) -> list[Interrupted]:
    """Mark those as interrupted whose process is gone; return them."""
    rows = conn.execute(query("audit_interrupted"), (projection,)).fetchall()
    return [Interrupted(str(id_), started_at, holder) for id_, started_at, holder in rows]


def last_audits(conn: psycopg.Connection[Any], projection: str) -> LastAudits:
    """Return when audits were made last."""
    row = conn.execute(query("audit_last"), (projection,)).fetchone()
    return LastAudits(*row) if row else LastAudits(None, None)


def kept_audits(conn: psycopg.Connection[Any], projection: str, limit: int) -> list[KeptAudit]:
    """Return the newest audits and validations, the newest first."""
    rows = conn.execute(query("audit_list"), (projection, limit)).fetchall()
    return [KeptAudit(str(id_), *rest) for id_, *rest in rows]


def kept_report(conn: psycopg.Connection[Any], projection: str, id_: str) -> Report:
    """Return a kept report by its id, or by the id's beginning; raises AuditUnknown."""
    rows = conn.execute(query("audit_read"), (projection, id_)).fetchall() if id_ else []
    if len(rows) != 1:
        how_many = "more than one audit's id begins" if rows else "no audit's id begins"
        raise AuditUnknown(
            f"{how_many} with {id_!r}",
            where=f"memferry.audit, projection {projection}",
            remedy="`memferry audit history` shows them",
        )
    ((whole, report),) = rows
    if report is None:
        raise AuditUnknown(
            f"audit {whole} came to no report",
            where=f"memferry.audit, projection {projection}",
            remedy="`memferry audit history` shows how it ended",
        )
    return msgspec.convert(report, Report)


def _jsonb(report: Report) -> str:
    # PostgreSQL's text has no place for the character 0, which memory's keys may hold.
    return _NUL.sub(rb"\1\\ufffd", msgspec.json.encode(report)).decode()
