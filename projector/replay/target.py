"""Where a replay goes: resolved to offsets, and refused where the log has no such place."""

from collections.abc import Mapping
from typing import Any

import psycopg

from projector.sql import query
from schemas.errors import FerryError
from schemas.position import PositionInvalid, format_offsets


class SavepointUnknown(FerryError):
    """There is no savepoint of that name."""


def require_within(
    offsets: Mapping[int, int], bounds: Mapping[int, tuple[int, int]], topic: str
) -> None:
    """Check that a position names every partition, at a place that the topic holds.

    Raises: PositionInvalid, with the nearest valid position.
    """
    if offsets.keys() != bounds.keys():
        raise PositionInvalid(
            f"the position names the partitions {sorted(offsets)}, the topic has {sorted(bounds)}",
            where=f"topic {topic}",
            remedy="name each of the topic's partitions once",
        )
    nearest = {
        partition: min(max(offset, bounds[partition][0]), bounds[partition][1])
        for partition, offset in offsets.items()
    }
    wrong = [partition for partition in offsets if offsets[partition] != nearest[partition]]
    if wrong:
        partition = wrong[0]
        start, end = bounds[partition]
        raise PositionInvalid(
            f"offset {offsets[partition]} is outside partition {partition}, which holds "
            f"{start} to {end}",
            where=f"topic {topic}",
            remedy=f"the nearest position is --to-offset {format_offsets(nearest)}",
        )


def savepoint_offsets(conn: psycopg.Connection[Any], projection: str, name: str) -> dict[int, int]:
    """Return the offsets of a savepoint; raises SavepointUnknown, naming those there are."""
    found = {
        row[0]: row[1] for row in conn.execute(query("savepoint_list"), (projection,)).fetchall()
    }
    if name not in found:
        known = ", ".join(found) or "none was taken yet"
        raise SavepointUnknown(
            f"there is no savepoint {name!r}",
            where=f"projection {projection}",
            remedy=f"savepoints: {known}",
        )
    return {int(partition): offset for partition, offset in found[name].items()}
