"""Named positions: each is a decision, published to the control topic; names are never moved."""

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import psycopg

from projector.checkpoint import offsets_of
from projector.control_tables import read_projection
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.replay.beside import drop as drop_tables
from projector.replay.savepoint_tables import clear_leftovers, copied, turn
from projector.sql import query
from projector.trail import actor, note
from schemas.control import SavepointTaken
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import Position, format_offsets
from schemas.settings import Settings


class SavepointExists(FerryError):
    """The name is used: savepoints are never moved."""


class Savepoint(msgspec.Struct, frozen=True):
    """A named position."""

    name: str
    offsets: dict[int, int]
    taken_at: datetime.datetime
    taken_by: str
    purpose: str = ""
    """What had it taken: `before-rollback`, `every` of a schedule; empty: somebody, by hand."""
    note: str = ""
    tables: Literal["", "kept", "used"] = ""
    """Whether a copy of the tables stands beside; `used`: a rollback went on from it."""


def checkpoint_position(conn: psycopg.Connection[Any], projection: str) -> Position:
    """Return the position that a projection has applied."""
    known = read_projection(conn, projection)
    return Position(known.topic, known.generation, offsets_of(conn, projection))


async def take(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    name: str,
    *,
    purpose: str = "",
    remark: str = "",
    keep: Domain | None = None,
) -> Savepoint:
    """Name the projection's present position; `conn` is in autocommit.

    `keep`: tables of this domain are copied, and the position is the copy's. Nothing else of the
    event loop goes on meanwhile.
    Raises: SavepointExists, CopyInProgress; BrokerUnreachable where it is taken but not yet in the
            control topic.
    """
    await read_control(conn, settings)  # a restored database may not know all decisions yet
    _require_free(conn, projection, name)
    clear_leftovers(conn, projection)
    event = SavepointTaken(name, projection, "", 0, {}, actor(), purpose, remark)
    if keep is None:
        _decide(conn, settings, event, None)
    else:
        with turn(conn, projection):
            # The copy first: killed in between, it is nobody's and cleared away.
            beside, offsets = copied(settings, keep, projection, name)
            try:
                _decide(conn, settings, event, offsets)
            except BaseException:
                if not conn.closed:
                    drop_tables(conn, beside)
                raise
    await publish_decisions(conn, settings)
    return next(s for s in list_all(conn, projection) if s.name == name)


async def take_automatic(
    conn: psycopg.Connection[Any], settings: Settings, projection: str, purpose: str
) -> Savepoint:
    """Name the present position after what is about to happen to it, as `rollback`, and the time.

    Shape:  `before-rollback-2026-11-26T19-30-05Z`.
    """
    now = datetime.datetime.now(datetime.UTC)
    return await take_at_time(conn, settings, projection, f"before-{purpose}", now)


async def take_at_time(  # noqa: PLR0917
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    purpose: str,
    at: datetime.datetime,
    keep: Domain | None = None,
) -> Savepoint:
    """Name the present position after a purpose and a time; a second one of a name ends with -2."""
    stem = f"{purpose}-{at.astimezone(datetime.UTC):%Y-%m-%dT%H-%M-%SZ}"
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        try:
            return await take(conn, settings, projection, name, purpose=purpose, keep=keep)
        except SavepointExists:
            number += 1


def list_all(conn: psycopg.Connection[Any], projection: str) -> list[Savepoint]:
    """Return a projection's savepoints, oldest first; none that was dropped."""
    read_projection(conn, projection)
    return [
        Savepoint(name, {int(p): o for p, o in offsets.items()}, *rest)
        for name, offsets, *rest in conn.execute(query("savepoint_list"), (projection,))
    ]


def _decide(
    conn: psycopg.Connection[Any],
    settings: Settings,
    event: SavepointTaken,
    copied_at: Mapping[int, int] | None,
) -> None:
    """Decide, with the position of now where no copy has one."""
    projection = event.projection
    with conn.transaction():
        position = checkpoint_position(conn, projection)
        offsets = position.offsets if copied_at is None else dict(copied_at)
        event = msgspec.structs.replace(
            event, topic=position.topic, generation=position.generation, offsets=offsets
        )
        if not decide(conn, settings, event):
            _require_free(conn, projection, event.name)
        if copied_at is not None:
            conn.execute(query("savepoint_kept"), (projection, event.name))
        said = {"purpose": event.purpose, "note": event.note, "tables": copied_at and "kept"}
        note(
            conn,
            "savepoint taken",
            {},
            {
                "name": event.name, "projection": projection, "position": format_offsets(offsets),
                **{name: value for name, value in said.items() if value},
            },
        )  # fmt: skip


def _require_free(conn: psycopg.Connection[Any], projection: str, name: str) -> None:
    row = conn.execute(query("savepoint_dropped"), (projection, name)).fetchone()
    if row is None:
        return
    raise SavepointExists(
        f"a savepoint {name!r} exists"
        if row[0] is None
        else f"there was a savepoint {name!r}, dropped at {row[0]:%Y-%m-%d %H:%M:%S}: a name stays "
        "used",
        where=f"projection {projection}",
        remedy="choose another name; `memferry savepoint list` shows them all",
    )
