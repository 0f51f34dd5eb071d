"""One claim's worth of a rebuild: fetch, gather many events into one transaction, apply.

What is odd (a lane's first event, a barrier, an event of an earlier version or one that cannot be
handled, a mend) goes the careful way, which is the projector's own; so does what the tables refuse.
Fetching overlaps with the database's work, and so does handling the next transaction's events, but
not where other processes keep the cores busy: two transactions' events take twice the memory.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

import psycopg

from projector.apply import Applier
from projector.batch import Handler
from projector.checkpoint import Claim, stop_partition
from projector.fold import ChangeRefused
from projector.lanes import ForeignSource, LaneBook
from projector.progress import PartitionProgress
from projector.replay.rebuild.gathering import Gathered, Gatherer, Placed
from projector.replay.rebuild.record_batches import Batches, Stored
from projector.session import Session
from projector.transaction import Transactions
from schemas.errors import FerryError
from schemas.void import VoidNotObeyed, Voids

_CHUNK_BYTES = 10 * 1024 * 1024
"""Of events in one transaction, beside `projector.batch_events`."""
_PIECE = 2_000
_CAREFUL = 500
"""Records that go the careful way where one of them is odd."""
_ASKED_TOGETHER = 2
"""Partitions that are fetched at once: what is fetched and not gathered yet is held in memory."""
_WRONG_CHANGES = (ChangeRefused, TypeError, ValueError, LookupError, AttributeError)
log = logging.getLogger("memferry.projector")


class Pouring:
    """Works under a claim until each partition is at `until`, has stopped, or the session is over.

    The session's progress is updated, and told, after every commit; its `lag` is what is left.
    """

    def __init__(
        self,
        session: Session,
        conn: psycopg.Connection[Any],
        batches: Batches,
        held: Claim,
        voids: Voids,
        *,
        thread: Executor,
        until: Mapping[int, int],
        topic: str,
        overlapping: bool = True,
    ) -> None:
        self._session, self._conn, self._batches, self._held = session, conn, batches, held
        self._thread, self._until, self._topic = thread, until, topic
        self._overlapping = overlapping
        self._domain = session.domain
        generation = held.projection.generation
        self._lanes = LaneBook(generation, held.lanes, session.sources, session.mends, voids)
        self._voids = voids
        odd: dict[int, set[int]] = {}
        for mend in session.mends:
            if mend.generation == generation:
                odd.setdefault(mend.partition, set()).update(mend.ignore, [mend.continue_at or 0])
        self._gatherer = Gatherer(self._domain, self._lanes, odd, topic)
        self._handler = Handler(self._domain, self._lanes)
        self._stages = session.progress.stages
        self._chunk_events = session.settings.projector.batch_events
        self._chunk_bytes = min(session.batch_bytes, _CHUNK_BYTES)
        self._piece = min(_PIECE, self._chunk_events)
        self._careful = min(_CAREFUL, self._chunk_events)
        tables = self._domain.tables.values()
        applier = Applier(
            conn, held.projection.name, tables, self._stages, sorted_inserts=False
        )  # fmt: skip
        self._transactions = Transactions(conn, applier, self._domain, held, self._stages)
        self._read = dict(held.offsets)
        """Where each partition is fetched from next."""
        self._stopped: set[int] = set()
        self._todo: deque[tuple[int, Sequence[Stored]]] = deque()
        self._gathered = Gathered(self._domain, held.offsets)
        self._on_the_way: tuple[Gathered, asyncio.Future[bool]] | None = None
        self._note_progress()

    async def run(self) -> None:
        """Work; what was committed stays, however this ends.

        Raises: Fenced, LogChanged, BrokerUnreachable, psycopg.Error.
        """
        fetching: asyncio.Task[dict[int, Sequence[Stored]]] | None = None
        try:
            while not self._session.over:
                if self._todo:
                    await self._gather(*self._todo.popleft())
                    continue
                wanted = self._wanted()
                if not wanted and fetching is None:
                    if self._gathered.count or self._on_the_way:
                        await self._flush()
                        continue  # it may have been refused
                    return
                begun = time.perf_counter()
                found = await (fetching or asyncio.create_task(self._batches.fetch(wanted)))
                self._stages.fetch += time.perf_counter() - begun
                self._take_up(found)
                fetching = None
                wanted = self._wanted()
                if wanted:
                    fetching = asyncio.create_task(self._batches.fetch(wanted))
                    await asyncio.sleep(0)  # so that it is asked before the loop is busy
        finally:
            if fetching is not None:
                fetching.cancel()
            if self._on_the_way is not None:
                with suppress(psycopg.Error, FerryError):
                    await self._settled()

    def _wanted(self) -> dict[int, int]:
        """Return what to fetch next: of the partitions that are farthest from their ends."""
        left = {
            p: end - self._read[p]
            for p, end in self._until.items()
            if p not in self._stopped and self._read[p] < end
        }
        first = sorted(left, key=lambda p: -left[p])[:_ASKED_TOGETHER]
        return {p: self._read[p] for p in first}

    def _take_up(self, found: Mapping[int, Sequence[Stored]]) -> None:
        for partition, records in found.items():
            self._read[partition] = records[-1].offset + 1
            end = self._until[partition]
            if records[-1].offset >= end:
                records = [record for record in records if record.offset < end]  # noqa: PLW2901
            if records:
                self._todo.append((partition, records))

    async def _gather(self, partition: int, records: Sequence[Stored]) -> None:
        """Gather a piece of a partition's records; put the others back."""
        if partition in self._stopped:
            return
        piece = records[: self._piece]
        gathered, begun = self._gathered, time.perf_counter()
        try:
            taken = self._gatherer.take(gathered, partition, piece, self._transactions.waiting)
        except _WRONG_CHANGES:
            gathered.add(partition, piece)
            self._put_back(partition, records[self._piece :])
            if await self._settled():
                await self._carefully_again(self._gathered)
            return
        self._stages.decode += time.perf_counter() - begun
        if taken < len(piece):
            self._put_back(partition, records[taken:])
            await self._flush()
            if self._todo and self._todo[0][0] == partition:
                _, records = self._todo.popleft()
                self._put_back(partition, records[self._careful :])
                await self._carefully(partition, records[: self._careful])
            return
        self._put_back(partition, records[self._piece :])
        if gathered.count >= self._chunk_events or gathered.bytes >= self._chunk_bytes:
            await self._hand_over()

    def _put_back(self, partition: int, records: Sequence[Stored]) -> None:
        if records:
            self._todo.appendleft((partition, records))

    async def _hand_over(self) -> None:
        """Have what is gathered applied, once the transaction before it is committed."""
        if not await self._settled() or not self._gathered.count:
            return
        gathered = self._gathered
        self._gathered = Gathered(self._domain, gathered.ends())
        applying = asyncio.get_running_loop().run_in_executor(
            self._thread, self._transactions.apply_folded, gathered.folded()
        )
        self._on_the_way = (gathered, applying)
        if not self._overlapping:
            await self._settled()

    async def _flush(self) -> None:
        """Have everything applied that is gathered; the lanes are those of the tables then."""
        await self._hand_over()
        await self._settled()
        self._lanes.rewind(self._held.lanes, self._held.offsets)

    async def _settled(self) -> bool:
        """Wait for the transaction that is on its way; say whether it was committed.

        Where the tables refused it, it was applied carefully instead, and what was gathered behind
        it is to be gathered again.
        """
        if self._on_the_way is None:
            return True
        gathered, applying = self._on_the_way
        self._on_the_way = None
        if await applying:
            self._session.progress.duplicates += gathered.duplicates
            self._note_progress()
            return True
        for partition, records in self._gathered.records.items():
            self._put_back(partition, records)
        await self._carefully_again(gathered)
        return False

    async def _carefully_again(self, gathered: Gathered) -> None:
        self._lanes.rewind(self._held.lanes, self._held.offsets)
        for partition, records in gathered.records.items():
            await self._carefully(partition, records)

    async def _carefully(self, partition: int, records: Sequence[Stored]) -> None:
        """Apply records as the projector does; nothing is on its way or gathered meanwhile."""
        placed = [Placed(partition, r.offset, r.value, self._topic) for r in records]
        before = self._lanes.duplicates
        old = self._held.offsets[partition]
        segment = self._handler.segment(partition, old, placed, None)
        if segment.unknown and await self._session.knows(set(segment.unknown)):
            return
        stops = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._transactions.apply, [segment]
        )
        self._session.progress.duplicates += self._lanes.duplicates - before
        for _, error in stops:
            left = [r for r in records if r.offset >= self._held.offsets[partition]]
            await self._stop_or_learn(partition, left, error)
        self._gathered = Gathered(self._domain, self._held.offsets)
        self._note_progress()

    async def _stop_or_learn(
        self, partition: int, left: Sequence[Stored], error: FerryError
    ) -> None:
        session = self._session
        if isinstance(error, ForeignSource):
            # A source may have opened since the control topic was read last.
            self._lanes.sources |= await session.learn_sources(self._conn)
            if error.lane.source in self._lanes.sources:
                self._lanes.rewind(self._held.lanes, [partition])
                self._put_back(partition, left)
                return
        if isinstance(error, VoidNotObeyed) and await session.learn_voids(self._conn, self._voids):
            return  # the next session begins there, with what is known now
        self._stopped.add(partition)
        session.progress.stopped[partition] = error
        stop_partition(self._conn, self._held, partition, str(error))
        log.error("partition %d stops: %s", partition, error)

    def _note_progress(self) -> None:
        progress, offsets = self._session.progress, self._held.offsets
        for partition, offset in offsets.items():
            end = self._until.get(partition, offset)
            progress.partitions[partition] = PartitionProgress(offset, max(0, end - offset))
        progress.applied, progress.parked = self._transactions.applied, self._transactions.parked
        progress.batches += 1
        self._session.on_progress(progress)
