"""A shadow: tables beside the live ones, brought to a position without anybody seeing it.

It begins where that costs least: with what a run that died had made, with the copy of a savepoint
that is near, or with the whole log.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import psycopg

from projector.fingerprint import changed_parts
from projector.progress import Progress
from projector.replay.beside import beside_of, drop, make
from projector.replay.opening import Work
from projector.replay.rebuild import finish, rebuild
from projector.replay.savepoint_tables import nearest
from projector.sql import query
from projector.voids import fits
from schemas.void import Void

log = logging.getLogger("memferry.replay")
OnProgress = Callable[[Progress], None]


async def begin(
    work: Work,
    run: str,
    position: Mapping[int, int],
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
    whole: bool = False,
) -> str:
    """Return the name of tables beside that stand at or before a position, and will obey the voids.

    Where the run is to begin with the whole log, a savepoint's copy is left alone.
    """
    return await asyncio.to_thread(_begin, work, run, position, tuple(assumed), lifted, whole)


async def bring(
    work: Work,
    shadow: str,
    until: Mapping[int, int],
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
    on_progress: OnProgress = lambda _: None,
) -> None:
    """Bring a shadow to a position; raises ReplayIncomplete where a partition stopped."""
    await rebuild(
        work.settings, work.domain, shadow, until,
        assumed=assumed, lifted=lifted, on_progress=on_progress,
    )  # fmt: skip


async def complete(work: Work, shadow: str) -> None:
    """Make what tables need to be read: indexes and statistics."""
    await asyncio.to_thread(finish, work.conn, shadow, work.domain)


def heads_of(
    conn: psycopg.Connection[Any], name: str, generation: int
) -> dict[str, dict[int, Any]]:
    """Return where the lanes of some tables are: source → partition → (seq, digest, epoch)."""
    heads: dict[str, dict[int, Any]] = {}
    for source, partition, *head in conn.execute(query("lanes_read"), (name, generation)):
        heads.setdefault(source, {})[partition] = tuple(head)
    return heads


def offsets_of(conn: psycopg.Connection[Any], name: str) -> dict[int, int]:
    """Return the position of some tables."""
    rows = conn.execute(query("checkpoint_read"), (name,)).fetchall()
    return {row[0]: row[1] for row in rows}


def _begin(  # noqa: PLR0917
    work: Work,
    run: str,
    position: Mapping[int, int],
    assumed: tuple[Void, ...],
    lifted: Collection[str],
    whole: bool,
) -> str:
    conn, name = work.conn, work.name
    found: str | None = None
    for left in beside_of(conn, name, "shadow"):
        if found is None and not whole and _fits(work, left.name, position, assumed, lifted):
            found = left.name
            log.info("going on with %s, which a run before has begun", found)
        else:
            drop(conn, left.name)
    if found is None and not whole:
        found = nearest(
            conn, name, position, work.domain,
            lambda kept: _fits(work, kept, position, assumed, lifted),
        )  # fmt: skip
    if found is None:
        return make(conn, name, work.domain, "shadow", run=run)
    conn.execute(query("beside_take"), {"name": found, "run": run})
    return found


def _fits(
    work: Work,
    name: str,
    position: Mapping[int, int],
    assumed: tuple[Void, ...],
    lifted: Collection[str],
) -> bool:
    conn = work.conn
    offsets = offsets_of(conn, name)
    if any(offsets.get(p, 0) > offset for p, offset in position.items()):
        return False
    if changed_parts(conn, name, work.domain):
        return False
    if any(kind for kind in _unmade(conn, name, work)):
        return False
    return fits(conn, work.settings.topic, name, assumed=assumed, lifted=lifted)


def _unmade(conn: psycopg.Connection[Any], name: str, work: Work) -> list[str]:
    """Return kinds that tables were not made for."""
    stored = {kind for kind, _ in conn.execute(query("fingerprint_kinds"), (name,))}
    return [kind.name for kind in work.domain.kinds if kind.name not in stored]
