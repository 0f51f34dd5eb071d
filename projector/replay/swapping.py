"""A shadow takes the place of the live tables, where it is or having caught up with them."""

import asyncio
import time
from collections.abc import Callable, Mapping

from projector.audit.kept_digests import end_keeping
from projector.checkpoint import offsets_of
from projector.control_tables import State
from projector.replay.exchange import Exchanged, exchange
from projector.replay.opening import Work
from projector.replay.runs import end_run
from projector.replay.shadow import OnProgress
from projector.replay.surroundings import carry_grants
from projector.runner import Projector
from projector.trail import note
from schemas.errors import FerryError
from schemas.position import format_offsets

_NEAR = 2_000
"""Records behind the log's end from which on the swap is tried."""
_REACH_S = 4.0
"""Less than a projector that claims waits for whoever holds the checkpoints."""
_LOOK_S = 0.05


class ShadowBehind(FerryError):
    """The tables beside do not come to where the live ones are."""


async def swap(  # noqa: PLR0917
    work: Work, run: str, shadow: str, state: State, reason: str, action: str = "replay finished"
) -> Exchanged:
    """Make a shadow the live tables as it is; raises TablesInUse."""
    return await asyncio.to_thread(_swap, work, run, shadow, state, reason, action)


async def swap_following(
    work: Work,
    run: str,
    shadow: str,
    on_progress: OnProgress = lambda _: None,
    action: str = "replay finished",
) -> Exchanged:
    """Make a shadow the live tables once it is as far as they are, however fast the log grows.

    Raises: TablesInUse, ShadowBehind; nothing was changed then.
    """
    follower = _Follower(work, shadow, on_progress)
    running = asyncio.create_task(follower.projector.run())
    try:
        while not await follower.is_near():
            await asyncio.wait({running}, timeout=_LOOK_S)
            if running.done():
                await running  # raises what ended it
        return await asyncio.to_thread(
            _swap, work, run, shadow, "live", "", action, follower.reach, follower.stop
        )
    finally:
        follower.projector.stop()
        await running


class _Follower:
    """A projector that keeps a shadow up with the log."""

    def __init__(self, work: Work, shadow: str, on_progress: OnProgress) -> None:
        self._work, self._shadow = work, shadow
        self._loop = asyncio.get_running_loop()
        self.projector = Projector(
            work.settings_of(shadow), work.domain, state="rebuilding", on_progress=on_progress
        )

    def stop(self) -> None:
        """End it; by any thread."""
        self._loop.call_soon_threadsafe(self.projector.stop)

    async def is_near(self) -> bool:
        """Say whether little is left to be applied; what has stopped goes no further anywhere."""
        if not self.projector.progress.partitions:
            return False  # it has not begun
        end, here = await self._work.end(), offsets_of(self._work.conn, self._shadow)
        stopped = self.projector.progress.stopped
        return sum(end[p] - here[p] for p in end if p not in stopped) <= _NEAR

    def reach(self, offsets: Mapping[int, int]) -> None:
        """Return once the shadow is at these offsets or beyond; by another thread."""
        deadline = time.monotonic() + _REACH_S
        while True:
            here = offsets_of(self._work.conn, self._shadow)
            behind = {p: o for p, o in offsets.items() if here.get(p, 0) < o}
            if not behind:
                return
            if time.monotonic() > deadline:
                raise ShadowBehind(
                    f"the tables beside are at {format_offsets(here)}, the live ones at "
                    f"{format_offsets(offsets)}, for {_REACH_S:.0f} s",
                    where=f"schema {self._shadow}",
                    remedy="nothing was changed; `memferry status` says what stopped, then run it "
                    "again",
                )
            time.sleep(_LOOK_S)


def _swap(  # noqa: PLR0917
    work: Work,
    run: str,
    shadow: str,
    state: State,
    reason: str,
    action: str,
    reach: Callable[[Mapping[int, int]], None] = lambda _: None,
    decided: Callable[[], None] = lambda: None,
) -> Exchanged:
    conn, name = work.conn, work.name
    end_keeping(conn, name)  # a migration's run that died may have left it
    carry_grants(conn, name, shadow)
    before = format_offsets(offsets_of(conn, name))

    def within(done: Exchanged) -> None:
        end_run(conn, run, "finished")
        note(
            conn,
            action,
            {"position": before},
            {
                "projection": name, "position": format_offsets(done.position), "state": state,
                "kept": done.kept,
            },
        )  # fmt: skip

    return exchange(
        conn, name, shadow, work.domain, state, reason, reach=reach, within=within, locked=decided
    )
