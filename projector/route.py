"""Where reads of a projection go: to memory, to both and compared, or to PostgreSQL."""

from typing import Any, Literal

import msgspec
import psycopg

from projector.sql import query
from schemas.errors import FerryError
from schemas.sql import statement

FIRST_EPOCH = 1
"""The epoch of every lane before any switch was asked for."""
Route = Literal["memory", "shadow", "postgres"]


class ReadsInPostgres(FerryError):
    """Readers use the tables: they may not be emptied under them."""


class ReadRoute(msgspec.Struct, frozen=True):
    """Where reads of a projection go; `decision` is 0 where nothing was ever decided."""

    route: Route
    epoch: int
    decision: int


def read_route(conn: psycopg.Connection[Any], projection: str) -> ReadRoute:
    """Return where reads go now: to memory, where nothing was ever decided."""
    row = conn.execute(statement("route_read"), (projection,)).fetchone()
    return ReadRoute(row[0], row[1], row[2]) if row else ReadRoute("memory", FIRST_EPOCH, 0)


def followers(conn: psycopg.Connection[Any], projection: str) -> set[str]:
    """Return the sources that follow the newest decision."""
    decision = read_route(conn, projection).decision
    rows = conn.execute(query("route_followers"), (projection, decision)).fetchall()
    return {source for (source,) in rows}


def require_reads_in_memory(conn: psycopg.Connection[Any], projection: str) -> None:
    """Check that nobody reads the tables; raises ReadsInPostgres."""
    if read_route(conn, projection).route == "postgres":
        raise ReadsInPostgres(
            f"reads of projection {projection!r} go to PostgreSQL: its tables stay as they are",
            where="memferry.route",
            remedy="`memferry switch-back` first: reads return to memory, and nothing is lost",
        )
