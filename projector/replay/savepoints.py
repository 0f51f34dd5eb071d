"""Named positions, taken by hand; each is a decision, published to the control topic."""

import datetime
from typing import Any

import msgspec
import psycopg

from projector.control_tables import read_projection
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.sql import query
from projector.trail import actor, note
from schemas.control import SavepointTaken
from schemas.errors import FerryError
from schemas.position import Position, format_offsets
from schemas.settings import Settings


class SavepointExists(FerryError):
    """The name is taken: savepoints are never moved."""


class Savepoint(msgspec.Struct, frozen=True):
    """A named position."""

    name: str
    offsets: dict[int, int]
    taken_at: datetime.datetime
    taken_by: str


def checkpoint_position(conn: psycopg.Connection[Any], projection: str) -> Position:
    """Return the position that a projection has applied."""
    known = read_projection(conn, projection)
    rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
    return Position(known.topic, known.generation, {row[0]: row[1] for row in rows})


async def take(
    conn: psycopg.Connection[Any], settings: Settings, projection: str, name: str
) -> Savepoint:
    """Name the projection's present position.

    Raises: SavepointExists; BrokerUnreachable where it is taken but not yet in the control topic.
    """
    await read_control(conn, settings)  # a restored database may not know all decisions yet
    with conn.transaction():
        position = checkpoint_position(conn, projection)
        event = SavepointTaken(
            name, projection, position.topic, position.generation, position.offsets, actor()
        )
        if not decide(conn, settings, event):
            raise SavepointExists(
                f"a savepoint {name!r} exists",
                where=f"projection {projection}",
                remedy="choose another name; `memferry savepoint list` shows them all",
            )
        note(
            conn,
            "savepoint taken",
            {},
            {"name": name, "projection": projection, "position": format_offsets(position.offsets)},
        )
    await publish_decisions(conn, settings)
    return next(s for s in list_all(conn, projection) if s.name == name)


def list_all(conn: psycopg.Connection[Any], projection: str) -> list[Savepoint]:
    """Return a projection's savepoints, oldest first."""
    read_projection(conn, projection)
    return [
        Savepoint(name, {int(p): o for p, o in offsets.items()}, at, by)
        for name, offsets, at, by in conn.execute(query("savepoint_list"), (projection,))
    ]
