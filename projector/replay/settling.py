"""What a run that died has left: finished where apps have voided something, undone where not."""

import asyncio
import logging
import time

from projector.control_topic import read_control
from projector.migration import fences
from projector.replay import shadow as shadows
from projector.replay.beside import beside_of, drop
from projector.replay.exchange import Exchanged
from projector.replay.opening import Work
from projector.replay.runs import Run, end_run, newest_run
from projector.replay.shadow import OnProgress
from projector.replay.swapping import swap_following
from projector.sql import query
from projector.trail import note
from projector.voids import adopt, unlike

_LOOK_S = 0.2
log = logging.getLogger("memferry.replay")


async def settle(work: Work, on_progress: OnProgress = lambda _: None) -> Run | None:
    """Finish or undo the run that died on this projection; return it, None where none did.

    The caller is the only run, so whatever is `running` has died.
    """
    run = newest_run(work.conn, work.name)
    if run is None or run.state != "running":
        return None
    # What was not decided is not decided any more: no app will void anything by it.
    fences.settle(work.conn, work.settings, work.name, "the run that asked for it ended")
    if run.step == "fencing":
        await _await_sources(work, run)
    if run.step in {"fencing", "swapping"} and await _must_follow(work, run):
        log.warning("finishing a %s that was cut short: the tables follow its voids", run.kind)
        await follow_voids(work, run.id, on_progress)
        return run
    if run.step in {"fencing", "swapping"}:
        for left in beside_of(work.conn, work.name, "shadow"):
            drop(work.conn, left.name)  # made for a void that was not decided
    with work.conn.transaction():
        end_run(work.conn, run.id, "undone", "its process ended")
        note(
            work.conn, f"{run.kind} undone", {"run": run.id, "step": run.step},
            {"projection": work.name, "reason": "its process ended"},
        )  # fmt: skip
    return run


async def follow_voids(work: Work, run: str, on_progress: OnProgress = lambda _: None) -> Exchanged:
    """Make the tables anew, with the voids as they are in force, beside the live ones; and swap."""
    for left in beside_of(work.conn, work.name, "shadow"):
        drop(work.conn, left.name)  # it took for granted what was not decided so
    end = await work.end()
    shadow = await shadows.begin(work, run, end)
    await shadows.bring(work, shadow, end, on_progress=on_progress)
    await shadows.complete(work, shadow)
    return await swap_following(work, run, shadow, on_progress)


async def _must_follow(work: Work, run: Run) -> bool:
    """Say whether the live tables do not obey what the control topic says by now."""
    await read_control(work.conn, work.settings)
    adopt(work.conn, work.settings.topic, work.name)
    return bool(unlike(work.conn, work.settings.topic, work.name))


async def _await_sources(work: Work, run: Run) -> None:
    """Return once every app has said that it goes on, where the dead run's fence was decided."""
    void, lease_s = str(run.plan.get("void", "")), work.settings.migration.max_downtime_ms / 1000
    if work.conn.execute(query("fence_decided_about"), (void,)).fetchone() == (0,):
        return
    deadline = time.monotonic() + lease_s + work.settings.kafka.timeout_ms / 1000
    wanted = set(run.plan.get("sources", ()))
    while time.monotonic() < deadline:
        await read_control(work.conn, work.settings)
        opened = {
            source
            for source, answer in fences.answers_about(work.conn, void).items()
            if answer.state in {"opened", "refused"}
        }
        if wanted <= opened:
            return
        await asyncio.sleep(_LOOK_S)
