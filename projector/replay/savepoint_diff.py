"""Two savepoints, or one and now: what going back from the later to the earlier sets aside."""

import asyncio
from typing import Any, NamedTuple

import psycopg

from projector.control_topic import read_control
from projector.replay.difference import differences
from projector.replay.discarded import discarded
from projector.replay.plan import Plan
from projector.replay.savepoint_drop import find
from projector.replay.savepoint_tables import kept_at
from projector.replay.savepoints import checkpoint_position
from schemas.domain import Domain
from schemas.position import format_offsets
from schemas.settings import Settings

NOW = "now"
"""Names the position that the live tables have applied, and these tables."""


class _Place(NamedTuple):
    said: str
    offsets: dict[int, int]
    tables: str | None


async def diff(
    conn: psycopg.Connection[Any], settings: Settings, domain: Domain, first: str, second: str
) -> Plan:
    """Return what going back from the later of two positions to the earlier would change.

    Rows are compared where both have tables: kept ones, or the live ones of `now`.
    Raises: SavepointUnknown; OffsetsGone where the log does not reach back so far.
    """
    await read_control(conn, settings)
    name = settings.projection or domain.name
    places = [_place(conn, name, first), _place(conn, name, second)]
    early, late = sorted(places, key=lambda place: sum(place.offsets.values()))
    # After a replay to some offsets one may be ahead here and behind there.
    lower = {p: min(offset, late.offsets[p]) for p, offset in early.offsets.items()}
    upper = {p: max(offset, late.offsets[p]) for p, offset in early.offsets.items()}
    found = await discarded(settings, domain, conn, lower, upper)
    tables = None
    if early.tables is not None and late.tables is not None:
        tables = await asyncio.to_thread(differences, conn, domain, late.tables, early.tables)
    return Plan(
        name, f"from {late.said} back to {early.said}", format_offsets(late.offsets),
        format_offsets(early.offsets), found, tables=tables,
    )  # fmt: skip


def _place(conn: psycopg.Connection[Any], projection: str, name: str) -> _Place:
    if name == NOW:
        return _Place(NOW, checkpoint_position(conn, projection).offsets, projection)
    point = find(conn, projection, name)
    return _Place(f"savepoint {name}", point.offsets, kept_at(conn, projection, name))
