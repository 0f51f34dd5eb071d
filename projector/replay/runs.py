"""Replays, rollbacks and voids as the database knows them: one at a time on a projection."""

import datetime
import os
import socket
import uuid
from typing import Any, Literal

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from projector.sql import query
from schemas.errors import FerryError

Kind = Literal["replay", "rollback", "void", "unvoid", "undo", "restore"]
Step = Literal["building", "fencing", "swapping", "replaying"]
"""building: a shadow, which nobody sees; fencing: apps may void; swapping: they have, and the
tables must follow; replaying: in place, the tables are being made anew."""


class ReplayInProgress(FerryError):
    """Another replay works on the projection."""


class Run(msgspec.Struct, frozen=True):
    """One run; `plan` is what was asked for, resolved."""

    id: str
    projection: str
    kind: Kind
    state: Literal["running", "finished", "undone"]
    step: Step
    plan: dict[str, Any]
    detail: str
    holder: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None


def lock_runs(conn: psycopg.Connection[Any], projection: str) -> None:
    """Be the only run on a projection until the connection ends; raises ReplayInProgress."""
    row = conn.execute(query("replay_lock"), (projection,)).fetchone()
    if row and row[0]:
        return
    found = newest_run(conn, projection)
    who = ""
    if found is not None and found.state == "running":
        who = f": {found.holder} {found.kind}s since {found.started_at:%H:%M:%S}"
    raise ReplayInProgress(
        f"another replay works on projection {projection!r}{who}",
        where="memferry.replay",
        remedy="wait for it; `memferry status` shows how far it is",
    )


def newest_run(conn: psycopg.Connection[Any], projection: str) -> Run | None:
    """Return the run that is under way, else the last one; None without any."""
    row = conn.execute(query("run_newest"), (projection,)).fetchone()
    return Run(*row) if row else None


def begin_run(
    conn: psycopg.Connection[Any],
    projection: str,
    kind: Kind,
    step: Step,
    plan: dict[str, Any],
) -> str:
    """Record a run, in the caller's transaction, before anything changes; return its id."""
    run = str(uuid.uuid4())
    holder = f"{socket.gethostname()} process {os.getpid()}"
    values = {"id": run, "projection": projection, "kind": kind, "step": step, "holder": holder}
    conn.execute(
        query("run_begin"), values | {"plan": Jsonb(msgspec.to_builtins(plan, str_keys=True))}
    )
    return run


def step_run(conn: psycopg.Connection[Any], run: str, step: Step) -> None:
    """Say that a run has come to its next step."""
    conn.execute(query("run_step"), {"id": run, "step": step})


def end_run(
    conn: psycopg.Connection[Any],
    run: str,
    state: Literal["finished", "undone"],
    detail: str = "",
) -> None:
    """Say how a run ended."""
    conn.execute(query("run_end"), {"id": run, "state": state, "detail": detail})
