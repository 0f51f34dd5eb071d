"""The fences of a run, as the database keeps them."""

import time
from typing import NamedTuple

import psycopg

from schemas.settings import Settings

AROUND_S = 0.025
"""So long after its decision the last writer has heard of it."""


class Fence(NamedTuple):
    """A fence that was decided: when, by this machine's monotonic clock, and the shim's pause."""

    purpose: str
    asked: float
    ended: float
    shim_ms: float


def decided_fences(settings: Settings) -> list[Fence]:
    """Return the decided fences of a projection with one source, the oldest first."""
    ahead = time.time() - time.monotonic()
    with psycopg.connect(settings.postgres.dsn) as conn:
        rows = conn.execute(
            "SELECT f.purpose, extract(epoch FROM f.asked_at)::float8, "
            "extract(epoch FROM f.ended_at)::float8, coalesce(s.pause_ms, f.lease_ms) "
            "FROM memferry.fence AS f JOIN memferry.fence_source AS s ON s.fence = f.id "
            "WHERE f.projection = %s AND f.state = 'decided' ORDER BY f.asked_at",
            (settings.projection,),
        ).fetchall()
    return [Fence(what, asked - ahead, ended - ahead, ms) for what, asked, ended, ms in rows]
