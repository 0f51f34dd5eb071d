"""Savepoints by a schedule, taken by a running projector: one of several takes what is due.

A thread of its own, with an event loop of its own for each: deciding waits for others who decide,
and they may be waiting for the projector's event loop.
"""

import asyncio
import datetime
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from projector.control_tables import ProjectionMissing, connect, read_projection
from projector.declared import whole_domain
from projector.replay.savepoint_drop import drop_all_but
from projector.replay.savepoints import Savepoint, checkpoint_position, take_at_time
from projector.schedule import Cron, Every, Schedule
from projector.sql import query
from projector.transient import first_line
from schemas.domain import Domain
from schemas.settings import Savepoints, Settings

SCHEDULED = "every"
"""The purpose of savepoints that are dropped once there are `savepoints.keep` newer ones."""
_LOOK_AT_CLOCK_S = 30.0
_SOON = datetime.timedelta(seconds=5)
_GRACE_S = 3.0
log = logging.getLogger("memferry.savepoints")


def schedule_of(settings: Savepoints) -> Schedule | None:
    """Return when savepoints are taken, None where never; raises SettingsInvalid."""
    if settings.cron:
        return Cron(settings.cron, "`savepoints.cron`")
    return Every(settings.every_s) if settings.every_s else None


@contextmanager
def taken_by_schedule(settings: Settings, domain: Domain) -> Iterator[None]:
    """Take savepoints by the settings' schedule meanwhile; errors are logged, and tried again.

    One that is being taken at the end is waited for, not a copy of large tables: what is left of
    it is cleared away.
    Raises: SettingsInvalid at the beginning.
    """
    schedule = schedule_of(settings.savepoints)
    if schedule is None:
        yield
        return
    taker = Taker(settings, domain, schedule)
    thread = threading.Thread(target=taker.run, name="memferry-savepoints", daemon=True)
    thread.start()
    try:
        yield
    finally:
        taker.stop()
        thread.join(_GRACE_S)


class Taker:
    """Takes savepoints as they come due, for as long as it is not stopped."""

    def __init__(self, settings: Settings, domain: Domain, schedule: Schedule) -> None:
        self._settings = settings
        self._domain = domain
        self._name = settings.projection or domain.name
        self._schedule = schedule
        self._passed: datetime.datetime | None = None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def run(self) -> None:
        """Take what is due, again and again; blocks."""
        due = _now()
        while self._comes(due):
            try:
                due = self.look(_now())
            except Exception as error:  # the projector goes on, whatever becomes of savepoints
                log.warning("no savepoint was taken, trying again: %s", first_line(error))
                due = _now() + _SOON

    def look(self, now: datetime.datetime) -> datetime.datetime:
        """Take a savepoint where one is due; return when to look again; blocks."""
        with closing(connect(self._settings, f"savepoints of {self._name}")) as conn:
            try:
                state = read_projection(conn, self._name).state
            except ProjectionMissing:  # the projector is about to make it
                return now + _SOON
            turn = conn.execute(query("savepoint_schedule_lock"), (self._name,)).fetchone()
            if turn != (True,):  # another projector is at it; should it die, somebody must look
                return now + _SOON
            row = conn.execute(
                query("savepoint_schedule_newest"), (self._name, SCHEDULED)
            ).fetchone()
            due = self._due(now, row[0] if row else None)
            if due > now:
                return due
            offsets = checkpoint_position(conn, self._name).offsets
            moved = row is None or {int(p): o for p, o in row[1].items()} != offsets
            if state == "live" and moved:
                asyncio.run(self._take(conn, due))
            self._passed = now
            return self._due(now, now)

    def _due(self, now: datetime.datetime, taken_at: datetime.datetime | None) -> datetime.datetime:
        last = max((at for at in (taken_at, self._passed) if at is not None), default=None)
        if last is None:
            return self._schedule.first(now, None)
        return max(self._schedule.after(last, last), now)

    async def _take(self, conn: psycopg.Connection[object], due: datetime.datetime) -> Savepoint:
        settings, wanted = self._settings, self._settings.savepoints
        keep = await whole_domain(settings, self._domain) if wanted.keep_tables else None
        point = await take_at_time(conn, settings, self._name, SCHEDULED, due, keep)
        log.info("savepoint %s", point.name)
        await drop_all_but(conn, settings, self._name, SCHEDULED, wanted.keep)
        return point

    def _comes(self, due: datetime.datetime) -> bool:
        """Wait for a time; False once stopped."""
        while (left := (due - _now()).total_seconds()) > 0:
            # In pieces: a clock that is set, or a machine that slept, is seen.
            if self._stopping.wait(min(left, _LOOK_AT_CLOCK_S)):
                return False
        return not self._stopping.is_set()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
