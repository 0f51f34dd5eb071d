"""The final rollback: ends of streams are void, and memory, log and tables are equal without them.

A shadow is made as if the void was there, and the apps prepare their memory, before anybody stands
still. Under a fence each source then decides for itself, in one commit. The shadow follows what the
control topic says of it, and takes the place of the live tables.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from projector.checkpoint import offsets_of
from projector.control_topic import read_control
from projector.migration.fences import FenceBroken
from projector.replay import shadow as shadows
from projector.replay.apps import VoidRefused, commit, prepare, voided_by
from projector.replay.exchange import Exchanged
from projector.replay.opening import Work, opened
from projector.replay.replaying import begin
from projector.replay.runs import Kind, step_run
from projector.replay.savepoints import take_automatic
from projector.replay.settling import follow_voids, settle
from projector.replay.shadow import OnProgress, heads_of
from projector.replay.surroundings import require_replaceable
from projector.replay.swapping import swap_following
from projector.replay.target import Resolved, Target, resolve
from projector.replay.verifying import verify
from projector.route import require_reads_in_memory
from projector.sources import active_sources
from projector.trail import actor
from projector.voids import list_voids, obey
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneHead
from schemas.position import FIRST_GENERATION, format_offsets
from schemas.requests import RollbackQuestion
from schemas.settings import Settings
from schemas.void import OPEN_END, Span, Void

_LOOK_S = 0.05


class VoidUnknown(FerryError):
    """There is no void of that id."""


class VoidUndecided(FerryError):
    """No source voided anything: nothing was changed."""


class Voided(msgspec.Struct, frozen=True):
    """A void that was decided, or reversed, and that memory and tables obey."""

    void: str
    target: str
    position: str
    """Where it begins."""
    sources: list[str]
    left_out: list[str]
    """Sources that did not decide in time: their ends stay as they are."""
    streams: int
    """Whose state changed in memory."""
    pause_ms: float
    """The longest that an app held mutations."""
    reader_pause_ms: float
    """The longest that a reader may have waited at the swap."""
    kept: str
    """Where the tables are that were live before."""
    savepoint: str
    seconds: float


async def void_tail(
    settings: Settings,
    domain: Domain,
    target: Target,
    *,
    streams: Sequence[str] = (),
    reason: str,
    kind: Kind = "rollback",
    on_progress: OnProgress = lambda _: None,
) -> Voided:
    """Void what stands behind a position, of some streams or of all, and go on from there.

    Raises: VoidRefused, ReadsInPostgres, SourceSilent, FenceBroken and what `replay` raises, before
            anything was decided; VoidUndecided.
    """
    started = time.monotonic()
    async with opened(settings, domain, kind) as work:
        await settle(work)
        require_reads_in_memory(work.conn, work.name)
        require_replaceable(work.conn, work.name, domain)
        resolved = await resolve(settings, work.conn, work.log, work.name, target)
        sources = _sources(work)
        savepoint = await take_automatic(work.conn, settings, work.name, kind)
        void, before = str(uuid.uuid4()), offsets_of(work.conn, work.name)
        more = {"void": void, "sources": sources, "streams": list(streams), "reason": reason}
        run = begin(work, kind, "swap", resolved, before, **more)
        shadow = await shadows.begin(work, run, resolved.position)
        with shadows.undone_where_it_fails(work, run, shadow):
            await shadows.bring(work, shadow, resolved.position, on_progress=on_progress)
            await verify(work, shadow, asked=None)
            heads = heads_of(work.conn, shadow, FIRST_GENERATION)
            _require_all_writing(work, heads, sources)
            questions = {
                source: RollbackQuestion(
                    void,
                    {p: LaneHead(*head) for p, head in heads.get(source, {}).items()},
                    dict(resolved.position), tuple(streams), shadow, False, reason, actor(),
                )
                for source in sources
            }  # fmt: skip
            ready = await asyncio.to_thread(prepare, work, questions)
            assumed = [_assumed(void, one, heads.get(one, {}), streams, work) for one in sources]
            await shadows.bring(
                work, shadow, await work.end(), assumed=assumed, on_progress=on_progress
            )
            await shadows.complete(work, shadow)
        decided = await _decide(work, run, shadow, void, sources)
        done = await _follow(work, run, shadow, decided, on_progress)
    return Voided(
        void, resolved.said, format_offsets(resolved.position), decided.sources,
        decided.left_out, sum(one.streams for one in ready.values()), decided.pause_ms,
        done.pause_ms, done.kept, savepoint.name, time.monotonic() - started,
    )  # fmt: skip


async def unvoid(
    settings: Settings,
    domain: Domain,
    void: str,
    *,
    reason: str,
    on_progress: OnProgress = lambda _: None,
) -> Voided:
    """Have what a void took away count again, in memory, log and tables.

    Raises: VoidUnknown; VoidRefused, naming streams whose newer events stand on what it left; and
            as `void_tail` does.
    """
    started = time.monotonic()
    async with opened(settings, domain, "unvoid") as work:
        await settle(work)
        require_reads_in_memory(work.conn, work.name)
        require_replaceable(work.conn, work.name, domain)
        sources = _voiders(work, void)
        questions = {
            source: RollbackQuestion(void, restore=True, reason=reason, actor=actor())
            for source in sources
        }
        ready = await asyncio.to_thread(prepare, work, questions)
        savepoint = await take_automatic(work.conn, settings, work.name, "unvoid")
        end, before = await work.end(), offsets_of(work.conn, work.name)
        resolved = Resolved(dict(end), f"void {void}")
        more = {"void": void, "sources": sources, "reason": reason}
        run = begin(work, "unvoid", "swap", resolved, before, **more)
        shadow = await shadows.begin(work, run, end, lifted={void})
        with shadows.undone_where_it_fails(work, run, shadow):
            await shadows.bring(work, shadow, end, lifted={void}, on_progress=on_progress)
            await shadows.complete(work, shadow)
        decided = await _decide(work, run, shadow, void, sources, restoring=True)
        done = await _follow(work, run, shadow, decided, on_progress)
    return Voided(
        void, resolved.said, format_offsets(done.position), decided.sources, decided.left_out,
        sum(one.streams for one in ready.values()), decided.pause_ms, done.pause_ms, done.kept,
        savepoint.name, time.monotonic() - started,
    )  # fmt: skip


class _Decided(NamedTuple):
    void: str
    sources: list[str]
    left_out: list[str]
    pause_ms: float
    restoring: bool


async def _decide(
    work: Work,
    run: str,
    shadow: str,
    void: str,
    sources: list[str],
    *,
    restoring: bool = False,
) -> _Decided:
    step_run(work.conn, run, "fencing")
    try:
        committed = await asyncio.to_thread(commit, work, void, sources)
    except FenceBroken:
        with shadows.undone_where_it_fails(work, run, shadow):
            raise
    step_run(work.conn, run, "swapping")
    heard = await _heard(work, void, sources, restoring=restoring)
    if not heard:
        undecided = VoidUndecided(
            "no source went back: their leases ended before they could",
            where=f"sources {', '.join(sources)}",
            remedy="nothing was changed; run it again, and raise `migration.max_downtime_ms` where "
            "a disk is slow",
        )
        with shadows.undone_where_it_fails(work, run, shadow):
            raise undecided
    left_out = [source for source in sources if source not in heard]
    return _Decided(
        void, heard, left_out, max(committed.pauses_ms.values(), default=0.0), restoring
    )


async def _heard(work: Work, void: str, sources: list[str], *, restoring: bool) -> list[str]:
    """Return the sources of which the control topic has that they decided, once all do."""
    deadline = time.monotonic() + work.settings.kafka.timeout_ms / 1000
    while True:
        await read_control(work.conn, work.settings)
        said = voided_by(work.conn, work.settings.topic, void)
        heard = [source for source in sources if said.get(source) is restoring]
        if len(heard) == len(sources) or time.monotonic() > deadline:
            return heard
        await asyncio.sleep(_LOOK_S)


async def _follow(
    work: Work, run: str, shadow: str, decided: _Decided, on_progress: OnProgress
) -> Exchanged:
    if decided.left_out:  # the shadow was made as if these had decided, too
        return await follow_voids(work, run, on_progress)
    if not decided.restoring:  # the shadow was made so
        for record in list_voids(work.conn, work.settings.topic):
            if record.void.id == decided.void:
                obey(work.conn, shadow, record.void)
    return await swap_following(work, run, shadow, on_progress)


def _sources(work: Work) -> list[str]:
    sources = active_sources(work.conn, work.settings.topic)
    if not sources:
        raise VoidRefused(
            "no source is registered: nobody could go back",
            where=f"topic {work.settings.topic}",
            remedy="attach an app; `memferry rollback` alone looks back without any",
        )
    return sources


def _voiders(work: Work, void: str) -> list[str]:
    said = voided_by(work.conn, work.settings.topic, void)
    sources = [source for source, restored in said.items() if not restored]
    if not sources:
        raise VoidUnknown(
            f"there is no void {void!r}" if not said else f"void {void} is reversed already",
            where=f"topic {work.settings.topic}",
            remedy="`memferry voids` lists them",
        )
    return sources


def _require_all_writing(
    work: Work, heads: Mapping[str, Mapping[int, Any]], sources: Sequence[str]
) -> None:
    """Refuse where a retired source has events behind the position: nobody could void them."""
    live = heads_of(work.conn, work.name, FIRST_GENERATION)
    for source, lanes in live.items():
        if source not in sources and any(
            head[0] > heads.get(source, {}).get(p, (0,))[0] for p, head in lanes.items()
        ):
            raise VoidRefused(
                f"source {source!r} is retired, and has events behind the position",
                where=f"source {source}",
                remedy="choose a position behind its last event, or name streams of others "
                "(`memferry void --stream`)",
            )


def _assumed(
    void: str, source: str, heads: Mapping[int, Any], streams: Sequence[str], work: Work
) -> Void:
    partitions = range(work.projection.partitions)
    lanes = {p: Span(heads[p][0] if p in heads else 0, OPEN_END) for p in partitions}
    return Void(void, source, FIRST_GENERATION, lanes, tuple(streams))
