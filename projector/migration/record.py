"""Migrations as the database knows them, and the lock that lets one run work on one at a time."""

import datetime
import time
from typing import Any, Literal

import msgspec
import psycopg

from projector.sql import query
from schemas.errors import FerryError

Mode = Literal["zero_downtime", "stop_and_copy"]
State = Literal["running", "finished", "undone"]
_LOCK_WAIT_S = 1.0
_LOOK_S = 0.02


class MigrationInProgress(FerryError):
    """Another run works on the projection's migration or switch."""


class PhaseRecord(msgspec.Struct, frozen=True):
    """One stay in a phase; a phase that was entered again after a kill has several."""

    phase: str
    entered_at: datetime.datetime
    left_at: datetime.datetime | None
    outcome: str
    """`passed`, `closed` (its gate), `failed`, `interrupted`, `undone`; empty while it lasts."""
    detail: str


class MigrationRecord(msgspec.Struct, frozen=True):
    """A migration as the database knows it."""

    id: str
    mode: Mode
    state: State
    phase: str
    term: int
    holder: str
    reason: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    phase_since: datetime.datetime


def newest(conn: psycopg.Connection[Any], projection: str) -> MigrationRecord | None:
    """Return the running migration of a projection, else the last one, None without any."""
    try:
        row = conn.execute(query("migration_newest"), (projection,)).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return MigrationRecord(*row) if row else None


def phases(conn: psycopg.Connection[Any], migration: str) -> list[PhaseRecord]:
    """Return where a migration has been, in order."""
    return [PhaseRecord(*row) for row in conn.execute(query("migration_phases"), (migration,))]


def lock(conn: psycopg.Connection[Any], projection: str) -> None:
    """Be the only run on a projection's migration until the connection ends.

    Raises: MigrationInProgress, saying who runs, since when, in which phase.
    """
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        row = conn.execute(query("migration_lock"), (projection,)).fetchone()
        if row and row[0]:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_S)  # the server takes a moment to end the connection of a run that ended
    found = newest(conn, projection)
    if found is None or found.state != "running":
        what = f"another run is about to migrate projection {projection!r} or switches its reads"
    else:
        what = (
            f"{found.holder} runs a {found.mode.replace('_', ' ')} migration of projection "
            f"{projection!r} since {found.started_at:%Y-%m-%d %H:%M:%S}; it is in phase "
            f"{found.phase} since {found.phase_since:%H:%M:%S}"
        )
    raise MigrationInProgress(
        what,
        where="memferry.migration",
        remedy="wait for it (`memferry status` shows its phase), or stop that process: the next "
        "run finishes or undoes what it began",
    )
