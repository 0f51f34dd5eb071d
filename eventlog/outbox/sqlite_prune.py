"""Rows that are safe elsewhere, deleted from the SQLite outbox, the oldest first, bit by bit."""

import time
from collections.abc import Mapping

import apsw

from eventlog.outbox.contract import Safe
from eventlog.outbox.sqlite_commands import forget_commands
from schemas.lane import CONTROL_PARTITION, LaneHead

_DELETE = """
DELETE FROM event WHERE row IN
(SELECT row FROM event WHERE row <= ? AND partition <> ? ORDER BY row LIMIT ?)
"""
_FIRST_KEPT = "SELECT coalesce(min(row), ?) FROM event WHERE partition <> ?"


def prune(
    db: apsw.Connection, heads: Mapping[int, LaneHead], safe: Safe, limit: int, kept_s: float
) -> int:
    """Delete up to `limit` rows, in the caller's transaction; return how many.

    Rows go in their order, so that a lane's first event stands for all before it. Those of the
    control lane stay: a restart reads them. Commands whose events are gone are forgotten once they
    are older than `kept_s`.
    """
    through = _through(db, heads, safe)
    db.execute(_DELETE, (through, CONTROL_PARTITION, limit))
    deleted = db.changes()
    if deleted:
        first: int = db.execute(_FIRST_KEPT, (through + 1, CONTROL_PARTITION)).get
        forget_commands(db, min(first, through + 1), time.time() - kept_s)
    return deleted


def _through(db: apsw.Connection, heads: Mapping[int, LaneHead], safe: Safe) -> int:
    """Return the row up to which every event of a data lane is safe."""
    through = safe.sent_row
    for partition, head in heads.items():
        if partition == CONTROL_PARTITION:
            continue
        applied = safe.applied.get(partition, 0)
        if applied < head.seq:
            row: int | None = db.execute(
                "SELECT row FROM event WHERE partition = ? AND seq > ? ORDER BY seq LIMIT 1",
                (partition, applied),
            ).get
            through = min(through, row - 1) if row is not None else through
    return through
