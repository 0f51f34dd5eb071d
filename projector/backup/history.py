"""What a database behind a backup lacks of its past: the audit trail, and decisions not published.

The backup's trail must be the beginning of the database's, or go on from it: nothing of either is
ever dropped. Everything that is in the control topic comes from there.
"""

import logging
from typing import Any

import psycopg

from projector.backup.loading import Archive, load_control
from projector.decisions import decision_lane
from projector.sql import query
from schemas import envelope
from schemas.control import DECISIONS_SOURCE
from schemas.errors import FerryError
from schemas.lane import genesis
from schemas.position import control_topic
from schemas.settings import Settings

_TABLES = ("trail", "migration", "migration_phase", "replay", "audit", "decision")
log = logging.getLogger("memferry.backup")


class TrailForked(FerryError):
    """The database's audit trail and the backup's say different things of one time."""


def bring_history(conn: psycopg.Connection[Any], settings: Settings, archive: Archive) -> int:
    """Add, in the caller's transaction, what the backup knows and the database does not.

    Returns: how many entries of the trail were added.
    Raises: TrailForked.
    """
    load_control(conn, archive, _TABLES)
    conn.execute(query("trail_lock"))
    shared = conn.execute(query("backup_trail_shared")).fetchone()
    if shared is not None and not shared[0]:
        raise TrailForked(
            "the audit trail of this database is no continuation of the backup's, nor the other "
            "way round",
            where="memferry.trail",
            remedy="both must be kept: restore into an empty database, or keep a copy of "
            "memferry.trail and drop the schema memferry first",
        )
    newest = conn.execute(query("trail_newest")).fetchone()
    added = conn.execute(query("backup_trail_add")).rowcount
    if added or newest is None or newest[0] == archive.manifest.trail:
        conn.execute(query("backup_history_add"), {"projection": archive.manifest.projection})
    _bring_decisions(conn, control_topic(settings.topic))
    return added


def _bring_decisions(conn: psycopg.Connection[Any], topic: str) -> None:
    """Add decisions that were made and not published yet, where they go on from the published."""
    newest = conn.execute(query("decision_newest"), (topic,)).fetchone()
    seq, chain = 0, genesis(decision_lane(DECISIONS_SOURCE)).digest
    if newest is not None:
        seq, chain = newest[0], envelope.digest(bytes(newest[1]))
    for number, event in conn.execute(query("backup_decisions"), {"topic": topic}).fetchall():
        if (number, envelope.decode(bytes(event)).chain) != (seq + 1, chain):
            log.warning("decision %d of the backup was never published, and others were", number)
            return
        conn.execute(query("decision_add"), (topic, number, event, False))
        seq, chain = number, envelope.digest(bytes(event))
