"""Replay to a position: in tables beside, which then take the place of the live ones, or in place.

The target is resolved to a position, and recorded, before anything changes.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from projector.checkpoint import offsets_of
from projector.control_tables import State
from projector.replay import shadow as shadows
from projector.replay.in_place import replay_in_place
from projector.replay.opening import Work, opened
from projector.replay.runs import Kind, Step, begin_run
from projector.replay.savepoints import take_automatic
from projector.replay.settling import settle
from projector.replay.shadow import OnProgress
from projector.replay.surroundings import require_replaceable
from projector.replay.swapping import swap, swap_following
from projector.replay.target import Resolved, Target, resolve
from projector.replay.verifying import verify
from projector.route import require_reads_in_memory
from projector.trail import note
from schemas.domain import Domain
from schemas.position import format_offsets
from schemas.settings import Settings

Way = Literal["swap", "in_place"]


class Replayed(msgspec.Struct, frozen=True):
    """A replay that took place."""

    projection: str
    way: Way
    target: str
    """How it was said, and what it was resolved by."""
    before: str
    position: str
    state: State
    kept: str = ""
    """Where the tables are that were live before; empty: they were emptied."""
    pause_ms: float = 0.0
    """The longest that a reader may have waited at the swap."""
    attempts: int = 0
    verified: str = ""
    """What the new tables were compared with before the swap."""
    savepoint: str = ""
    """Names where the tables were before a rollback."""
    seconds: float = 0.0


async def replay(
    settings: Settings,
    domain: Domain,
    target: Target,
    *,
    way: Way = "swap",
    kind: Kind = "replay",
    verified: bool | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Replayed:
    """Bring a projection to a position; it goes on from the end, and holds anywhere else.

    `verified`: whether what is swapped in is compared with the fold of the log before; None: where
    that costs little.

    Raises: PositionInvalid, SavepointUnknown, EventUnknown, ReplayInProgress, MigrationInProgress,
            ReadsInPostgres, SwapRefused before anything changes; ReplayIncomplete where a partition
            stopped, ShadowDiffers, TablesInUse: by a swap nothing was changed then.
    """
    started = time.monotonic()
    async with opened(settings, domain, kind) as work:
        await settle(work)
        resolved = await resolve(settings, work.conn, work.log, work.name, target)
        to_end = target.end
        if way == "in_place" or not to_end:
            require_reads_in_memory(work.conn, work.name)
        if way == "swap":
            require_replaceable(work.conn, work.name, domain)
        savepoint = ""
        if kind == "rollback":
            savepoint = (await take_automatic(work.conn, settings, work.name, kind)).name
        before = offsets_of(work.conn, work.name)
        run = begin(work, kind, way, resolved, before)
        state: State = "live" if to_end else "held"
        if way == "in_place":
            await replay_in_place(work, run, resolved.position, state, on_progress)
            done = Replayed(
                work.name, way, resolved.said, format_offsets(before),
                format_offsets(resolved.position), state,
            )  # fmt: skip
        else:
            done = await _beside(work, run, resolved, before, state, verified, on_progress)
    seconds = time.monotonic() - started
    return msgspec.structs.replace(done, savepoint=savepoint, seconds=seconds)


def begin(
    work: Work, kind: Kind, way: Way, resolved: Resolved, before: Mapping[int, int], **more: Any
) -> str:
    """Record what is asked for, resolved; return the run's id."""
    conn = work.conn
    position = format_offsets(resolved.position)
    plan = {"way": way, "said": resolved.said, "position": position, **more}
    step: Step = "replaying" if way == "in_place" else "building"
    with conn.transaction():
        run = begin_run(conn, work.name, kind, step, plan)
        note(
            conn,
            f"{kind} started",
            {"state": work.projection.state, "position": format_offsets(before)},
            {"projection": work.name, "target": position, "run": run, **plan},
        )
    return run


async def _beside(  # noqa: PLR0917
    work: Work,
    run: str,
    resolved: Resolved,
    before: Mapping[int, int],
    state: State,
    verified: bool | None,
    on_progress: OnProgress,
) -> Replayed:
    shadow = await shadows.begin(work, run, resolved.position)
    with shadows.undone_where_it_fails(work, run, shadow):
        await shadows.bring(work, shadow, resolved.position, on_progress=on_progress)
        await shadows.complete(work, shadow)
        said = await verify(work, shadow, asked=verified)
        if state == "live":
            swapped = await swap_following(work, run, shadow, on_progress)
        else:
            reason = f"replayed to {format_offsets(resolved.position)}"
            swapped = await swap(work, run, shadow, state, reason)
    return Replayed(
        work.name, "swap", resolved.said, format_offsets(before),
        format_offsets(swapped.position), state, swapped.kept, swapped.pause_ms, swapped.attempts,
        said,
    )  # fmt: skip
