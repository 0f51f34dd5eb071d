"""Tables that are kept at savepoints: copies beside the live ones, with a position of their own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from projector.fingerprint import made_by
from projector.replay.beside import copy, drop
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings


class CopyInProgress(FerryError):
    """Another process copies the tables for a savepoint."""


@contextmanager
def turn(conn: psycopg.Connection[Any], projection: str) -> Iterator[None]:
    """Be the only one that copies a projection's tables for a savepoint; raises CopyInProgress."""
    if not _try_turn(conn, projection):
        raise CopyInProgress(
            f"another process copies the tables of projection {projection!r} for a savepoint",
            where=f"projection {projection}",
            remedy="try again once it is done; without --keep-tables a savepoint is taken at once",
        )
    try:
        yield
    finally:
        _end_turn(conn, projection)


def copied(
    settings: Settings, domain: Domain, projection: str, savepoint: str
) -> tuple[str, dict[int, int]]:
    """Copy the live tables as they are at one position; return the copy's name and position."""
    return copy(settings, domain, projection, "savepoint", savepoint=savepoint)


def clear_leftovers(conn: psycopg.Connection[Any], projection: str) -> list[str]:
    """Drop copies that no savepoint has: whoever made one was killed before it had a name.

    Returns: their names. While somebody copies, and where the role may not, nothing is dropped.
    """
    if all(savepoint for _, savepoint, _ in _copies(conn, projection)):
        return []
    if not _try_turn(conn, projection):
        return []
    try:
        # Looked at again: what was a leftover may have been given its name meanwhile.
        names = [name for name, savepoint, _ in _copies(conn, projection) if not savepoint]
        for name in names:
            drop(conn, name)
        return names
    except psycopg.errors.InsufficientPrivilege:
        return []
    finally:
        _end_turn(conn, projection)


def sizes(conn: psycopg.Connection[Any], projection: str) -> dict[str, int]:
    """Return savepoint → bytes on disk of the tables that are kept there, indexes included."""
    return {savepoint: size for _, savepoint, size in _copies(conn, projection) if savepoint}


def kept_at(conn: psycopg.Connection[Any], projection: str, savepoint: str) -> str | None:
    """Return the name of the tables that are kept at a savepoint, None where there are none."""
    found = (name for name, of, _ in _copies(conn, projection) if of == savepoint)
    return next(found, None)


def nearest(
    conn: psycopg.Connection[Any],
    projection: str,
    position: Mapping[int, int],
    domain: Domain,
    fits: Callable[[str], bool] = lambda _: True,
) -> str | None:
    """Return the kept tables from which a position is reached with the fewest records.

    They are at or below it in every partition, made with the code of now, and `fits(name)` says
    that what they obey of voids is, or can become, what is wanted.
    """
    places: dict[str, dict[int, int]] = {}
    for name, partition, offset in conn.execute(query("savepoint_tables_places"), (projection,)):
        places.setdefault(name, {})[partition] = offset
    below = {
        name: sum(offsets.values())
        for name, offsets in places.items()
        if offsets.keys() == position.keys()
        and all(offset <= position[partition] for partition, offset in offsets.items())
    }
    for name in sorted(below, key=lambda name: below[name], reverse=True):
        if made_by(conn, name, domain) and fits(name):
            return name
    return None


def _copies(conn: psycopg.Connection[Any], projection: str) -> list[tuple[str, str, int]]:
    """Return each copy's name, its savepoint, empty where that is none, and its size in bytes."""
    rows = conn.execute(query("savepoint_tables"), (projection,)).fetchall()
    return [(name, savepoint if there else "", size) for name, savepoint, there, size in rows]


def _try_turn(conn: psycopg.Connection[Any], projection: str) -> bool:
    return conn.execute(query("savepoint_turn"), (projection,)).fetchone() == (True,)


def _end_turn(conn: psycopg.Connection[Any], projection: str) -> None:
    if not conn.closed:
        conn.execute(query("savepoint_turn_end"), (projection,))
