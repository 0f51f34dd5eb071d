"""A swap undone in one step, and the tables that a swap kept released."""

from typing import Any

import msgspec

from projector.checkpoint import offsets_of
from projector.control_tables import State
from projector.replay.beside import Beside, beside_of, drop
from projector.replay.exchange import Exchanged
from projector.replay.opening import Work, opened
from projector.replay.runs import begin_run
from projector.replay.settling import settle
from projector.replay.surroundings import require_replaceable
from projector.replay.swapping import swap
from projector.route import require_reads_in_memory
from projector.trail import note
from projector.voids import adopt, unlike
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import format_offsets
from schemas.settings import Settings


class NothingKept(FerryError):
    """No tables are kept that a swap has taken away."""


class UndoRefused(FerryError):
    """The tables that a swap kept are not what the log says any more."""


class Undone(msgspec.Struct, frozen=True):
    """A swap that was undone."""

    projection: str
    before: str
    position: str
    state: str
    kept: str
    """Where the tables are that were live before: undone again, they come back."""
    pause_ms: float


async def undo_swap(settings: Settings, domain: Domain) -> Undone:
    """Exchange the live tables with those that the newest swap kept, wherever they are.

    Raises: NothingKept; UndoRefused where voids were decided or reversed since; ReadsInPostgres,
            TablesInUse.
    """
    async with opened(settings, domain, "undo") as work:
        await settle(work)
        kept = newest_kept(work)
        require_reads_in_memory(work.conn, work.name)
        require_replaceable(work.conn, work.name, domain)
        adopt(work.conn, settings.topic, kept.name)
        if differing := unlike(work.conn, settings.topic, kept.name):
            raise UndoRefused(
                f"voids were decided or reversed since: {', '.join(differing)}",
                where=f"schema {kept.name}",
                remedy="`memferry unvoid` reverses a void; `memferry replay` makes other tables",
            )
        before = offsets_of(work.conn, work.name)
        with work.conn.transaction():
            run = begin_run(work.conn, work.name, "undo", "building", {"kept": kept.name})
        state: State = "held" if kept.was == "held" else "live"
        reason = f"replayed to {format_offsets(offsets_of(work.conn, kept.name))}"
        done: Exchanged = await swap(
            work, run, kept.name, state, reason if state == "held" else "", "swap undone"
        )
    return Undone(
        work.name, format_offsets(before), format_offsets(done.position), state, done.kept,
        done.pause_ms,
    )  # fmt: skip


async def release_kept(settings: Settings, domain: Domain) -> list[str]:
    """Drop the tables that swaps kept; return the names of their schemas."""
    async with opened(settings, domain, "release") as work:
        await settle(work)
        kept = beside_of(work.conn, work.name, "swapped")
        with work.conn.transaction():
            for one in kept:
                drop(work.conn, one.name)
            if kept:
                released: dict[str, Any] = {"projection": work.name, "kept": [k.name for k in kept]}
                note(work.conn, "swapped tables released", {}, released)
    return [one.name for one in kept]


def newest_kept(work: Work) -> Beside:
    """Return the tables that the newest swap kept; raises NothingKept."""
    found = beside_of(work.conn, work.name, "swapped")
    if not found:
        raise NothingKept(
            "no swap has kept tables that were not released",
            where=f"projection {work.name}",
            remedy="`memferry replay` makes tables from the log, at any position",
        )
    return found[-1]
