"""One claim's worth of work: fetch, admit, handle, apply, and learn what was declared meanwhile."""

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import msgspec
import psycopg

from projector.apply import Applier
from projector.batch import Handler, Segment
from projector.checkpoint import Claim, all_stopped, require_held, stop_partition
from projector.lanes import ForeignSource, LaneBook
from projector.log import Log
from projector.parked_retry import answer_retries
from projector.progress import PartitionProgress
from projector.session import Session
from projector.stages import Stages
from projector.transaction import Transactions
from schemas.errors import FerryError
from schemas.void import VoidNotObeyed, Voids

_FETCH_WAIT_MS = 100
_OVERLAPPED_RECORDS = 1_000
"""Batches of fewer are not fetched while another is applied."""
_SECOND_NS = 1_000_000_000
log = logging.getLogger("memferry.projector")

Stops = list[tuple[Segment, FerryError]]


class Pump:
    """Works under a claim until it is `over`, or reaches `until` in each partition or its stop.

    Without `until` partitions that stopped are stayed with: others may go on elsewhere. `look` is
    set by whoever knows of something to look at in the control tables. The session's progress is
    updated, and told, after every commit.
    """

    def __init__(
        self,
        session: Session,
        conn: psycopg.Connection[Any],
        topic: Log,
        held: Claim,
        voids: Voids,
        *,
        thread: Executor,
        over: Callable[[], bool],
        look: asyncio.Event,
        until: Mapping[int, int] | None,
    ) -> None:
        self._session = session
        self._conn = conn
        self._topic = topic
        self._held = held
        self._thread = thread
        self._over = over
        self._look = look
        self._until = until
        self._read = dict(held.offsets)
        self._voids = voids
        self._lanes = LaneBook(
            held.projection.generation, held.lanes, session.sources, session.mends, voids
        )
        self._handler = Handler(session.domain, self._lanes)
        self._stages, self._counted = Stages(), Stages()
        tables = session.domain.tables.values()
        applier = Applier(conn, held.projection.name, tables, self._stages)
        self._transactions = Transactions(conn, applier, session.domain, held, self._stages)
        self._applied = self._parked = self._duplicates = 0  # as far as they are in the progress
        self._stopped: set[int] = set()
        self._halted: set[int] = set()  # stopped, or about to be: nothing behind is looked at
        self._fetched = 0
        self._at = {p: PartitionProgress(offset) for p, offset in held.offsets.items()}
        session.progress.partitions.update(self._at)
        for partition in held.offsets:
            session.progress.stopped.pop(partition, None)  # a new claim tries it again

    def forget(self, kept: frozenset[int]) -> None:
        """Take the partitions that this claim no longer stands for out of the progress."""
        progress = self._session.progress
        for partition, at in self._at.items():
            if partition not in kept and progress.partitions.get(partition) is at:
                del progress.partitions[partition]
                progress.stopped.pop(partition, None)

    async def run(self) -> None:
        """Work. Raises Fenced, LogChanged, psycopg.Error."""
        pending: asyncio.Future[Stops] | None = None
        applying: list[Segment] = []
        session = self._session
        try:
            while not (self._over() or self._reached()):
                if pending is not None and (
                    self._fetched < _OVERLAPPED_RECORDS or self._look.is_set()
                ):
                    # Close behind the log, waiting first means one batch between an event and its
                    # row; to overlap would put another one of a few events before it.
                    finished, pending = pending, None
                    await self._settle(await finished, applying)
                if self._look.is_set():
                    await self._look_up()
                    continue
                begun = time.perf_counter()
                found = await self._topic.fetch(
                    session.settings.projector.batch_events, _FETCH_WAIT_MS, session.batch_bytes
                )
                fetched = time.perf_counter()
                self._fetched = sum(map(len, found.values()))
                segments = [
                    self._segment(p, rs) for p, rs in found.items() if p not in self._halted
                ]
                self._stages.fetch += fetched - begun
                self._stages.decode += time.perf_counter() - fetched
                if pending is not None:
                    finished, pending = pending, None
                    await self._settle(await finished, applying)
                unknown = frozenset[str]().union(*[s.unknown for s in segments])
                if unknown and await session.knows(set(unknown)):
                    break
                applying = [s for s in segments if s.partition not in self._stopped]
                if applying:
                    pending = self._in_thread(self._transactions.apply, applying)
                else:
                    self._note_lag()
        finally:
            if pending is not None:
                await self._settle(await pending, applying)

    def _in_thread(self, work: Callable[..., Any], *values: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *values)

    def _reached(self) -> bool:
        return self._until is not None and all(
            self._read[p] >= end or p in self._stopped for p, end in self._until.items()
        )

    def _segment(self, partition: int, records: Any) -> Segment:
        until = (self._until or {}).get(partition)
        segment = self._handler.segment(partition, self._read[partition], records, until)
        self._read[partition] = segment.new_offset
        if segment.stopped is not None:
            self._halted.add(partition)
        return segment

    async def _look_up(self) -> None:
        """See what was announced: a replay, a retry of parked streams, a mend, the end of all."""
        self._look.clear()
        require_held(self._conn, self._held)
        await self._in_thread(answer_retries, self._conn, self._held, self._transactions)
        self._count()
        session = self._session
        session.look_for_mends(self._conn)
        session.look_for_voids(self._conn, self._voids)
        # Who stopped at the mark of a void goes on once the tables are those that obey it.
        waits = any(isinstance(error, VoidNotObeyed) for error in session.progress.stopped.values())
        if not (waits or session.over) and all_stopped(self._conn, self._held.projection.name):
            session.end(again=False)

    async def _settle(self, stops: Stops, applied: list[Segment]) -> None:
        progress = self._session.progress
        progress.batches += 1
        self._count()
        now = time.time_ns()
        for segment in applied:
            at = self._at[segment.partition]
            at.next_offset = segment.new_offset
            if segment.items:
                at.applied_at_ns = now
            if segment.newest:
                at.event_at_ns = _nanoseconds(segment.newest)
        for segment, error in stops:
            await self._stop_or_learn(segment.partition, error)
        self._note_lag()
        self._session.on_progress(progress)

    def _count(self) -> None:
        """Add what happened since the last time: other workers add to the same numbers."""
        progress = self._session.progress
        applied, parked = self._transactions.applied, self._transactions.parked
        duplicates = self._lanes.duplicates
        progress.applied += applied - self._applied
        progress.parked += parked - self._parked
        progress.duplicates += duplicates - self._duplicates
        self._applied, self._parked, self._duplicates = applied, parked, duplicates
        for name, seconds in msgspec.structs.asdict(self._stages).items():
            more = seconds - getattr(self._counted, name)
            setattr(progress.stages, name, getattr(progress.stages, name) + more)
            setattr(self._counted, name, seconds)

    def _note_lag(self) -> None:
        for partition, offset in self._held.offsets.items():
            end = self._topic.end(partition)
            lag = None if end is None else max(0, end - offset)
            self._at[partition].lag = lag

    async def _stop_or_learn(self, partition: int, error: FerryError) -> None:
        if isinstance(error, ForeignSource):
            # A source may have opened since the control topic was read last.
            self._lanes.sources |= await self._session.learn_sources(self._conn)
            if error.lane.source in self._lanes.sources:
                self._topic.seek(partition, self._held.offsets[partition])
                self._read[partition] = self._held.offsets[partition]
                self._halted.discard(partition)
                return
        if isinstance(error, VoidNotObeyed) and await self._session.learn_voids(
            self._conn, self._voids
        ):
            return  # the next session begins there, with what is known now
        self._stopped.add(partition)
        self._halted.add(partition)
        self._topic.leave(partition)
        self._session.progress.stopped[partition] = error
        # Whoever exchanges the tables may hold the checkpoint; meanwhile others go on in this loop.
        await self._in_thread(stop_partition, self._conn, self._held, partition, str(error))
        log.error("partition %d stops: %s", partition, error)


def _nanoseconds(at: str) -> int:
    """Return an envelope's time, RFC 3339 in UTC with nine decimals, in ns of the Unix epoch."""
    second, _, fraction = at.removesuffix("Z").partition(".")
    whole = datetime.datetime.fromisoformat(second).replace(tzinfo=datetime.UTC)
    return int(whole.timestamp()) * _SECOND_NS + int(fraction.ljust(9, "0")[:9] or 0)
