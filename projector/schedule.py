"""When something that is done again and again is due: plain functions over times, all UTC."""

import datetime
import re
from typing import Protocol

from cronsim import CronSim, CronSimError

from schemas.errors import SettingsInvalid
from schemas.settings import Audit

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FIELDS = 5


class Schedule(Protocol):
    """Times at which something is due: an audit, a savepoint."""

    def first(self, now: datetime.datetime, last: datetime.datetime | None) -> datetime.datetime:
        """Return when the first is due; `last`: when one was begun before, if ever."""

    def after(self, due: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
        """Return when the next one is due, `now` that the one which was due at `due` has ended."""


class Every:
    """At once, and then so many seconds from the end of each: they never overtake."""

    def __init__(self, seconds: float) -> None:
        self._pause = datetime.timedelta(seconds=seconds)

    def __str__(self) -> str:
        return f"every {self._pause.total_seconds():g} s"

    def first(self, now: datetime.datetime, last: datetime.datetime | None) -> datetime.datetime:
        """Return now."""
        return now

    def after(self, due: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
        """Return the end of the pause that begins now."""
        return now + self._pause


class Cron:
    """The times of a cron expression; however many were missed, they are made up by one.

    `said_by` names what the operator has written it in.
    """

    def __init__(self, expression: str, said_by: str = "--cron or `audit.cron`") -> None:
        self._expression = expression
        if len(expression.split()) != _FIELDS:
            raise _wrong(expression, said_by, f"it has {len(expression.split())} fields")
        try:
            # Whether it ever comes is known once it is asked for a time.
            next(CronSim(expression, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)))
        except (CronSimError, StopIteration) as error:
            why = str(error).lower() or "its time never comes"
            raise _wrong(expression, said_by, why) from error

    def __str__(self) -> str:
        return f"at {self._expression} UTC"

    def first(self, now: datetime.datetime, last: datetime.datetime | None) -> datetime.datetime:
        """Return the next time; now where one passed since the last."""
        return self._next(now) if last is None else self.after(last, now)

    def after(self, due: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
        """Return the next time; now where it passed in the meantime."""
        return max(self._next(due), now)

    def _next(self, than: datetime.datetime) -> datetime.datetime:
        return next(CronSim(self._expression, than))


def schedule_of(settings: Audit, every: str | None = None, cron: str | None = None) -> Schedule:
    """Return an audit job's schedule: the flags', else the settings'; raises SettingsInvalid."""
    if every is not None and cron is not None:
        raise SettingsInvalid(
            "an interval and a cron expression were given",
            where="--every, --cron",
            remedy="give one of them",
        )
    if every is not None:
        return Every(interval_s(every))
    expression = settings.cron if cron is None else cron
    return Cron(expression) if expression else Every(settings.every_s)


def interval_s(text: str) -> float:
    """Return the seconds of `90s`, `10m`, `2h`, `1d`, or of a number alone."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= datetime.timedelta.max.total_seconds() / 1_000:
        raise SettingsInvalid(
            f"{text!r} is no interval",
            where="--every",
            remedy="write a number and its unit: 90s, 10m, 2h, 1d",
        )
    return seconds


def _wrong(expression: str, said_by: str, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        f"{expression!r} is no cron expression: {why}",
        where=said_by,
        remedy="write minute, hour, day of the month, month, day of the week, in UTC: "
        '"*/15 * * * *"',
    )
