"""The audit as a job: again and again by a schedule, with patience, whatever becomes of each."""

import asyncio
import datetime
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import psycopg

from projector.audit.alone import AuditJobRuns, JobTurn
from projector.audit.history import Verdict, last_audits, note_interrupted
from projector.audit.hook import Alert, run_hook
from projector.audit.kept import Keeping, kept, say_unkept
from projector.audit.metrics import Tally
from projector.audit.report import Report
from projector.audit.throttle import wait_until_quiet
from projector.schedule import Schedule
from schemas.settings import Settings

log = logging.getLogger("memferry.audit")
Work = Callable[[], Awaitable[Report]]
_LOOK_AT_CLOCK_S = 30.0
_OWED = 100


class Made(NamedTuple):
    """One audit that ended, with the exception that it ended with, if any."""

    keeping: Keeping
    alert: Alert
    error: Exception | None


async def make(settings: Settings, projection: str, work: Work) -> Made:
    """Make one audit: kept in the history; the hook is run unless it is clean.

    An exception is not raised but returned. Cancelled, it is kept as interrupted.
    """
    failed: Exception | None = None
    keeping: Keeping | None = None
    try:
        with kept(settings, projection, "audit") as keeping:
            keeping.ended(await work())
    except Exception as error:
        if keeping is None:
            raise
        _say_debugging("the audit ended with", error)
        failed = error
    alert = alert_of(keeping)
    if settings.audit.hook and alert.verdict != "clean":
        await run_hook(settings, alert)
    return Made(keeping, alert, failed)


def alert_of(keeping: Keeping) -> Alert:
    """Return what programs are told of an audit that ended."""
    begun, ending = keeping.begun, keeping.ending
    if ending is None:
        raise RuntimeError("an audit under way has no verdict")
    return Alert(
        begun.id, begun.projection, begun.kind, ending.verdict, begun.started_at, ending.seconds,
        ending.error, ending.report,
    )  # fmt: skip


class AuditJob:
    """Audits by a schedule until it is stopped, one job at a time for a projection.

    What is kept in the history or read from it costs no audit where that fails: the job goes on.
    """

    def __init__(
        self,
        settings: Settings,
        projection: str,
        schedule: Schedule,
        work: Work,
        *,
        count: int | None = None,
        on_ended: Callable[[Alert], None] = lambda _: None,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`told` is given what the job does or waits for, whenever that changes."""
        self._settings = settings
        self._projection = projection
        self._schedule = schedule
        self._work = work
        self._left = count
        self._on_ended = on_ended
        self._told = told
        self._turn = JobTurn(settings, projection)
        self._stopping = asyncio.Event()
        self._auditing: asyncio.Task[Made] | None = None
        self._owed: list[Keeping] = []
        self.tally = Tally()

    @property
    def stopped(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End soon: an audit under way is interrupted; its fold goes on with the next one."""
        self._stopping.set()
        if self._auditing is not None:
            self._auditing.cancel()

    async def run(self) -> dict[Verdict, int]:
        """Audit until `stop`, or until all of `count` are made; return how they ended.

        Raises: AuditJobRuns, also where another one took over while PostgreSQL was away;
                DatabaseUnreachable at the beginning.
        """
        try:
            due = self._schedule.first(_now(), self._look_back(self._turn.hold()))
            while await self._comes(due):
                await self._one()
                due = self._schedule.after(due, _now())
        finally:
            self._turn.release()
        return self.tally.verdicts

    def _look_back(self, conn: psycopg.Connection[Any]) -> datetime.datetime | None:
        """Return when the last audit was begun, with those noted whose process is gone."""
        try:
            for dead in note_interrupted(conn, self._projection):
                self.tally.verdicts["interrupted"] += 1
                self._told(f"the audit begun at {_clock(dead.started_at)} was interrupted")
        except psycopg.Error as error:
            say_unkept(error)
        try:
            last = last_audits(conn, self._projection)
        except psycopg.Error:
            return None
        if last.clean is not None:
            self.tally.clean_at_s = last.clean.timestamp()
        return last.begun

    async def _comes(self, due: datetime.datetime) -> bool:
        """Wait for a time; False where nothing is to be done any more."""
        if self._left == 0:
            return False
        if due > _now():
            self._told(f"waits for {_clock(due)}")
        # In pieces: a clock that is set, or a machine that slept, is seen.
        while not self.stopped and (left := (due - _now()).total_seconds()) > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), min(left, _LOOK_AT_CLOCK_S))
            except TimeoutError:
                continue
        return not self.stopped

    async def _one(self) -> None:
        notes = await self._quiet()
        if self.stopped:
            return

        async def work() -> Report:
            conn = await asyncio.to_thread(self._turn.hold)  # PostgreSQL may be back
            self._pay(conn)
            report = await self._work()
            return msgspec.structs.replace(report, coverage=[*report.coverage, *notes])

        self._told("audits")
        self._auditing = asyncio.create_task(make(self._settings, self._projection, work))
        try:
            made = await self._auditing
        except asyncio.CancelledError:
            if not self.stopped:
                raise
            self.tally.verdicts["interrupted"] += 1
            return
        finally:
            self._auditing = None
        if isinstance(made.error, AuditJobRuns):
            raise made.error
        self._count(made)

    async def _quiet(self) -> list[str]:
        try:
            conn = await asyncio.to_thread(self._turn.hold)
            return await wait_until_quiet(conn, self._settings.audit, self._stopping, self._told)
        except AuditJobRuns:
            raise
        except Exception as error:  # the audit meets it, too, and says so
            _say_debugging("the database's load is not known", error)
            return []

    def _count(self, made: Made) -> None:
        if made.keeping.owed:
            self._owed = [*self._owed, made.keeping][-_OWED:]
        if made.keeping.ending is not None:
            self.tally.add(made.keeping.ending)
        if self._left is not None:
            self._left -= 1
        self._on_ended(made.alert)

    def _pay(self, conn: psycopg.Connection[Any]) -> None:
        """Bring into the history what it lacks since PostgreSQL was away."""
        try:
            while self._owed:
                self._owed[0].pay(conn, self._settings.audit.keep_days)
                del self._owed[0]
        except psycopg.Error as error:
            say_unkept(error)


def _say_debugging(what: str, error: Exception) -> None:
    # As text: a log that renders exceptions shows variables, and passwords are among them.
    log.debug("%s\n%s", what, "".join(traceback.format_exception(error)))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _clock(at: datetime.datetime) -> str:
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
