"""Times as PostgreSQL has them, those included that Python has none for.

psycopg refuses a whole batch of rows for one `infinity`. Here it becomes a text, which no type of a
time allows: the syntax level names its row.
"""

import datetime
import struct
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import Format

_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_microseconds = struct.Struct(">q").unpack
_days = struct.Struct(">i").unpack


class _Time(Loader):
    """timestamptz, in UTC whatever the session's zone."""

    format = Format.BINARY
    epoch = _EPOCH

    def load(self, data: Any) -> datetime.datetime | str:
        """Return the time, or in words what it is."""
        (found,) = _microseconds(data)
        try:
            return self.epoch + datetime.timedelta(microseconds=found)
        except OverflowError:
            return f"no time: {found} microseconds since 2000"


class _LocalTime(_Time):
    """timestamp."""

    epoch = _EPOCH.replace(tzinfo=None)


class _Date(Loader):
    """date."""

    format = Format.BINARY

    def load(self, data: Any) -> datetime.date | str:
        """Return the day, or in words what it is."""
        (found,) = _days(data)
        try:
            return _EPOCH.date() + datetime.timedelta(days=found)
        except OverflowError:
            return f"no day: {found} days since 2000"


def load_any_time(conn: psycopg.Connection[Any]) -> None:
    """Have this connection's cursors that read binary give every time there is."""
    conn.adapters.register_loader("timestamptz", _Time)
    conn.adapters.register_loader("timestamp", _LocalTime)
    conn.adapters.register_loader("date", _Date)
