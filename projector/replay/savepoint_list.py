"""Savepoints as they are listed: how old, how far back, and what is kept there."""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg

from projector.replay.savepoint_tables import clear_leftovers, sizes
from projector.replay.savepoints import Savepoint, list_all


class Listed(Savepoint, frozen=True):
    """A savepoint, seen from now."""

    age_s: float = 0.0
    since: int | None = None
    """Records of the log behind it; None where the log's end is not known."""
    tables_bytes: int | None = None
    """Of the copy on disk, indexes included; None where there is none."""


def listed(
    conn: psycopg.Connection[Any], projection: str, ends: Mapping[int, int] | None
) -> list[Listed]:
    """Return a projection's savepoints, oldest first; `ends` is where the log ends, if known.

    What a kill left of a copy that got no savepoint is cleared away.
    """
    points = list_all(conn, projection)
    clear_leftovers(conn, projection)
    now = datetime.datetime.now(datetime.UTC)
    kept = sizes(conn, projection)
    end = None if ends is None else sum(ends.values())
    return [
        Listed(
            **msgspec.structs.asdict(point),
            age_s=(now - point.taken_at).total_seconds(),
            since=None if end is None else end - sum(point.offsets.values()),
            tables_bytes=kept.get(point.name),
        )
        for point in points
    ]
