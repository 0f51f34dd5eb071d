"""A shadow: tables beside the live ones, brought to a position without anybody seeing it.

It begins where that costs least: with what a run that died had made, with the copy of a savepoint
that is near, or with the whole log.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from projector.checkpoint import offsets_of
from projector.fingerprint import made_by
from projector.progress import Progress
from projector.replay.beside import beside_of, drop, make, make_months
from projector.replay.exchange import TablesInUse
from projector.replay.opening import Work
from projector.replay.rebuild import finish, rebuild
from projector.replay.runs import end_run
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


@contextmanager
def undone_where_it_fails(work: Work, run: str, shadow: str) -> Iterator[None]:
    """Leave all as it was, whatever happens in here: nobody has seen the shadow yet.

    Tables that only found no moment for their swap are kept: the next run goes on with them.
    """
    try:
        yield
    except Exception as error:
        if not work.conn.closed:
            end_run(work.conn, run, "undone", str(error).partition("\n")[0])
            if not isinstance(error, TablesInUse):
                drop(work.conn, shadow)
        raise


def heads_of(
    conn: psycopg.Connection[Any], name: str, generation: int
) -> dict[str, dict[int, Any]]:
    """Return where the lanes of some tables are: source → partition → (seq, digest, epoch)."""
    heads: dict[str, dict[int, Any]] = {}
    for source, partition, *head in conn.execute(query("lanes_read"), (name, generation)):
        heads.setdefault(source, {})[partition] = tuple(head)
    return heads


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
        topic = work.settings.topic
        found = nearest(
            conn, name, position, work.domain,
            lambda kept: fits(conn, topic, kept, assumed=assumed, lifted=lifted),
        )  # fmt: skip
    if found is not None:
        taken = conn.execute(query("beside_take"), {"name": found, "run": run})
        if taken.rowcount:  # else its savepoint was dropped in between
            return found
    made = make(conn, name, work.domain, "shadow", run=run)
    make_months(conn, name, made)
    return made


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
    return made_by(conn, name, work.domain) and fits(
        conn, work.settings.topic, name, assumed=assumed, lifted=lifted
    )
