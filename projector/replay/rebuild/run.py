"""A rebuild: tables brought from their checkpoint to a position, in a process for each core.

The partitions are shared out; this process works on the first share, workers on the others. Each
commits rows, lanes and checkpoint together, so that whoever is killed loses what it had not
committed, and the next call goes on from there. Where something was declared, opened or decided
meanwhile, or a broker or PostgreSQL was away, a new round begins, from the checkpoints.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing

import msgspec
import psycopg

from projector.checkpoint import Fenced, ProjectionHeld, offsets_of
from projector.control_tables import connect, read_projection
from projector.control_topic import read_control
from projector.progress import Progress
from projector.replay.rebuild.errors import ReplayIncomplete, WorkerDied, WorkerHindered
from projector.replay.rebuild.indexes import drop_secondary
from projector.replay.rebuild.share import Share, work
from projector.replay.rebuild.shared_progress import SharedProgress
from projector.replay.rebuild.telling import Said, error_of, said_in
from projector.transient import TRANSIENT, first_line
from projector.voids import adopt
from schemas.domain import Domain, DomainInvalid, load_domain
from schemas.settings import Settings
from schemas.void import Void

_BACKOFF_S = (0.2, 5.0)
_PASSING = (*TRANSIENT, WorkerHindered)
_PROCESS_MB = 100
"""What a process takes at most: as many work as `projector.memory_limit_mb` has room for."""
_ALONE = 50_000
"""Records that one process has applied before a second one has started."""
_MANY = 200_000
"""Records for which it is worth while to make the indexes behind them."""
_LINE_BYTES = 1024 * 1024
_encode = msgspec.json.encode
log = logging.getLogger("memferry.projector")


async def rebuild(
    settings: Settings,
    domain: Domain,
    projection: str,
    until: Mapping[int, int],
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
    processes: int | None = None,
) -> Progress:
    """Bring a projection that is `rebuilding` from its own checkpoint to `until`.

    Its tables are then what a projector would have made of the same records; indexes may be missing
    until `finish`. A domain that `settings.domain` does not import is worked on in this process
    alone. `until` is partition → exclusive offset; a progress's `lag` is what is left. Without
    `processes` there is one for each core, where there is enough to do.
    Raises: ProjectionMissing, ProjectionHeld, FingerprintChanged before anything changes;
            ReplayIncomplete where a partition stopped, Fenced where somebody took it over,
            LogChanged, WorkerDied: the next call goes on from what was committed.
    """
    plan = Share(settings, projection, dict(until), tuple(assumed), tuple(lifted))
    shown = SharedProgress(on_progress)
    pause, died_at = _BACKOFF_S[0], -1
    while True:
        try:
            if not await _round(plan, domain, shown, processes):
                break
            pause = _BACKOFF_S[0]
        except WorkerDied:
            if died_at == shown.total.applied:  # not by chance, then
                raise
            died_at = shown.total.applied
            log.warning("a worker died: going on from what is committed")
        except _PASSING as error:
            if shown.total.batches == 0 and not isinstance(error, WorkerHindered | psycopg.Error):
                raise
            log.warning("trying again: %s", first_line(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _BACKOFF_S[1])
    progress = shown.total
    if progress.stopped:
        partition, reason = next(iter(progress.stopped.items()))
        raise ReplayIncomplete(
            f"the replay stopped in partition {partition}: {reason.what}",
            where=reason.where,
            remedy=reason.remedy,
        ) from reason
    return progress


async def _round(plan: Share, domain: Domain, shown: SharedProgress, processes: int | None) -> bool:
    """Work on all partitions; say whether another round is needed."""
    settings, name = plan.settings, plan.projection
    with closing(connect(settings, f"rebuild {name}")) as conn:
        state = read_projection(conn, name).state
        if state != "rebuilding":
            raise ProjectionHeld(
                f"projection {name!r} is {state}, not rebuilding",
                where="memferry.projection",
                remedy="`memferry status` says what holds it",
            )
        await read_control(conn, settings)
        await asyncio.to_thread(
            adopt, conn, settings.topic, name,
            assumed=plan.assumed, lifted=plan.lifted, state="rebuilding",
        )  # fmt: skip
        at = offsets_of(conn, name)
        left = {p: end - at[p] for p, end in plan.until.items() if at.get(p, 0) < end}
        if not left:
            return False
        if sum(left.values()) >= max(_MANY, sum(at.values())):
            drop_secondary(conn, name, domain)
    if processes is None:
        processes = _processes(settings, domain, sum(left.values()))
    parts = shared_out(left, processes)
    shares = [
        msgspec.structs.replace(plan, until={p: plan.until[p] for p in part}, alone=len(parts) == 1)
        for part in parts
    ]
    return await _all(shares, domain, shown)


async def _all(shares: list[Share], domain: Domain, shown: SharedProgress) -> bool:
    shown.begin_round()
    mine, *others = shares
    tasks = [asyncio.create_task(work(mine, domain, shown.mine, shown.tell))]
    tasks += [
        asyncio.create_task(_in_worker(share, lambda said, n=number: shown.heard(n, said)))  # type: ignore[misc]
        for number, share in enumerate(others)
    ]
    failed: list[BaseException] = []
    waited = set(tasks)
    try:
        while waited:
            done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            failed += [error for task in done if (error := task.exception()) is not None]
            # What the others are at is not lost where this one is only to begin anew.
            fatal = [e for e in failed if not isinstance(e, (*_PASSING, Fenced, WorkerDied))]
            if fatal:
                raise fatal[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    again = any(task.exception() is None and task.result() for task in tasks)
    if again:  # what one has learned may have fenced the others
        failed = [error for error in failed if not isinstance(error, Fenced)]
    if failed:
        raise failed[0]
    return again


async def _in_worker(share: Share, heard: Callable[[Said], None]) -> bool:
    """Work on a share in a process of its own, which ends with this one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "projector.replay.rebuild.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE_BYTES,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for us
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101  (it is a pipe)
    assert process.stdout is not None  # noqa: S101  (likewise)
    said: Said | None = None
    try:
        process.stdin.write(_encode(share) + b"\n")
        while line := await process.stdout.readline():
            said = said_in(line)
            heard(said)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if said is None or not said.over:
        raise WorkerDied(
            f"a process of the rebuild ended with {process.returncode}",
            where=f"partitions {sorted(share.until)}",
            remedy="what was committed stays; the next run goes on from there",
        )
    if said.failed is not None:
        error = error_of(said.failed)
        if said.failed.passes:
            raise WorkerHindered(error.what, where=error.where, remedy=error.remedy)
        raise error
    return said.again


def shared_out(left: Mapping[int, int], processes: int) -> list[list[int]]:
    """Return each process's partitions, so that all have about as many records left."""
    shares: list[list[int]] = [[] for _ in range(max(1, min(processes, len(left))))]
    for partition in sorted(left, key=lambda p: (-left[p], p)):
        min(shares, key=lambda share: sum(left[p] for p in share)).append(partition)
    return shares


def _processes(settings: Settings, domain: Domain, records: int) -> int:
    if records < _ALONE or not _imported(settings, domain):
        return 1
    return min(os.cpu_count() or 1, settings.projector.memory_limit_mb // _PROCESS_MB)


def _imported(settings: Settings, domain: Domain) -> bool:
    """Say whether another process has the same hand-written kinds when it imports the domain."""
    try:
        known = load_domain(settings.domain)
    except DomainInvalid:
        return False
    written = [kind for kind in domain.kinds if kind.description is None]
    return (
        domain.ddl == known.ddl
        and len(written) == len(known.kinds)
        and all(kind is other for kind, other in zip(written, known.kinds, strict=True))
    )
