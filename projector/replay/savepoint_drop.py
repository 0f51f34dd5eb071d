"""Savepoints that are none any more: their names stay used, tables kept there go with them."""

from typing import Any

import psycopg

from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.replay.beside import drop as drop_tables
from projector.replay.savepoints import Savepoint, list_all
from projector.replay.target import SavepointUnknown
from projector.sql import query
from projector.trail import actor, note
from schemas.control import SavepointDropped
from schemas.position import format_offsets
from schemas.settings import Settings


async def drop(
    conn: psycopg.Connection[Any], settings: Settings, projection: str, name: str
) -> Savepoint:
    """Take a position's name away, and the tables kept there; return what it was.

    Raises: SavepointUnknown; DependentsInside where somebody's views need those tables;
            BrokerUnreachable where it is dropped but that is not yet in the control topic.
    """
    await read_control(conn, settings)  # a restored database may not know all decisions yet
    with conn.transaction():
        point = find(conn, projection, name)
        # Before the decision: nobody who decides waits for readers of these tables.
        for (tables,) in conn.execute(
            query("savepoint_tables_lock"), (projection, name)
        ).fetchall():
            drop_tables(conn, tables)
        if not decide(conn, settings, SavepointDropped(name, projection, actor())):
            raise unknown(conn, projection, name)  # somebody was quicker
        before = {
            "name": name, "position": format_offsets(point.offsets), "tables": point.tables
        }  # fmt: skip
        note(conn, "savepoint dropped", before, {"projection": projection})
    await publish_decisions(conn, settings)
    return point


async def drop_all_but(
    conn: psycopg.Connection[Any], settings: Settings, projection: str, purpose: str, count: int
) -> list[str]:
    """Drop the oldest savepoints of a purpose until `count` are left; return their names."""
    points = [point for point in list_all(conn, projection) if point.purpose == purpose]
    names = [point.name for point in points[: max(0, len(points) - count)]]
    for name in names:
        await drop(conn, settings, projection, name)
    return names


def find(conn: psycopg.Connection[Any], projection: str, name: str) -> Savepoint:
    """Return a savepoint; raises SavepointUnknown, naming those there are."""
    for point in list_all(conn, projection):
        if point.name == name:
            return point
    raise unknown(conn, projection, name)


def unknown(conn: psycopg.Connection[Any], projection: str, name: str) -> SavepointUnknown:
    """Return what says that there is no such savepoint, or no more, and which there are."""
    known = ", ".join(point.name for point in list_all(conn, projection)) or "none was taken yet"
    row = conn.execute(query("savepoint_dropped"), (projection, name)).fetchone()
    gone = f", it was dropped at {row[0]:%Y-%m-%d %H:%M:%S}" if row and row[0] else ""
    return SavepointUnknown(
        f"there is no savepoint {name!r}{gone}",
        where=f"projection {projection}",
        remedy=f"savepoints: {known}",
    )
