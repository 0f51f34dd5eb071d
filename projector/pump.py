"""One claim's worth of work: fetch, admit, handle, apply, and learn what was declared meanwhile."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import psycopg

from projector.apply import Applier
from projector.batch import EventTypeUnknown, Handler, Segment
from projector.checkpoint import Claim, require_held, stop_partition
from projector.control_topic import read_control
from projector.declared import whole_domain
from projector.lanes import ForeignSource, LaneBook
from projector.log import Log
from projector.progress import Progress
from projector.transaction import Transactions
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings

_FETCH_WAIT_MS = 100
_IDLE_LOOK_S = 0.5
_OVERLAPPED_RECORDS = 1_000
"""Batches of fewer are not fetched while another is applied."""
log = logging.getLogger("memferry.projector")


class Pump:
    """Works under a claim until `stopping` is set, `until` is reached, or every partition stopped.

    `progress` is updated, and `on_progress` told, after every commit.
    """

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        conn: psycopg.Connection[Any],
        topic: Log,
        held: Claim,
        *,
        lanes: LaneBook,
        thread: Executor,
        stopping: asyncio.Event,
        until: Mapping[int, int] | None,
        progress: Progress,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._thread = thread
        self._stopping = stopping
        self._until = until
        self._progress = progress
        self._on_progress = on_progress
        self._kinds_declared = False
        self._conn = conn
        self._topic = topic
        self._held = held
        self._lanes = lanes
        self._read = dict(held.offsets)
        self._handler = Handler(domain, lanes)
        stages = progress.stages
        applier = Applier(conn, held.projection.name, domain.tables.values(), stages)
        self._transactions = Transactions(conn, applier, domain, held, stages)
        self._applied_before = progress.applied
        self._duplicates_before = progress.duplicates
        progress.stopped.clear()  # what stopped before is tried again
        self._stopped: set[int] = set()
        self._halted: set[int] = set()  # stopped, or about to be: nothing behind is looked at
        self._looked = time.monotonic()
        self._fetched = 0

    async def run(self) -> bool:
        """Work; return True where kinds were declared that this domain does not know."""
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[list[tuple[Segment, FerryError]]] | None = None
        applying: list[Segment] = []
        try:
            while not (self._stopping.is_set() or self._done()):
                if pending is not None and self._fetched < _OVERLAPPED_RECORDS:
                    # Close behind the log, waiting first means one batch between an event and its
                    # row; to overlap would put another one of a few events before it.
                    finished, pending = pending, None
                    await self._settle(await finished)
                begun = time.perf_counter()
                found = await self._topic.fetch(
                    self._settings.projector.batch_events, _FETCH_WAIT_MS
                )
                fetched = time.perf_counter()
                self._fetched = sum(map(len, found.values()))
                segments = [
                    self._segment(p, rs) for p, rs in found.items() if p not in self._halted
                ]
                self._progress.stages.fetch += fetched - begun
                self._progress.stages.decode += time.perf_counter() - fetched
                if pending is not None:
                    finished, pending = pending, None
                    await self._settle(await finished)
                applying = [s for s in segments if s.partition not in self._stopped]
                if applying:
                    pending = loop.run_in_executor(self._thread, self._transactions.apply, applying)
                elif time.monotonic() - self._looked > _IDLE_LOOK_S:
                    require_held(self._conn, self._held)  # a replay has nothing to tell it
                    self._looked = time.monotonic()
        finally:
            if pending is not None:
                await self._settle(await pending)
        return self._kinds_declared

    def _done(self) -> bool:
        if self._kinds_declared:
            return True
        until = self._until
        if until is None:
            return len(self._stopped) == len(self._read)
        return all(self._read[p] >= end or p in self._stopped for p, end in until.items())

    def _segment(self, partition: int, records: Any) -> Segment:
        until = (self._until or {}).get(partition)
        segment = self._handler.segment(partition, self._read[partition], records, until)
        self._read[partition] = segment.new_offset
        if segment.stopped is not None:
            self._halted.add(partition)
        return segment

    async def _settle(self, stops: list[tuple[Segment, FerryError]]) -> None:
        progress = self._progress
        progress.applied = self._applied_before + self._transactions.applied
        progress.duplicates = self._duplicates_before + self._lanes.duplicates
        progress.batches += 1
        for segment, error in stops:
            await self._stop_or_learn(segment.partition, error)
        progress.lag = self._topic.lag(self._read)
        self._on_progress(progress)

    async def _stop_or_learn(self, partition: int, error: FerryError) -> None:
        if isinstance(error, ForeignSource):
            # A source may have opened since the control topic was read last.
            self._lanes.sources |= await read_control(self._conn, self._settings)
            if error.lane.source in self._lanes.sources:
                self._topic.seek(partition, self._held.offsets[partition])
                self._read[partition] = self._held.offsets[partition]
                self._halted.discard(partition)
                return
        if isinstance(error, EventTypeUnknown):
            whole = await whole_domain(self._settings, self._domain)
            if error.event_type in whole.by_type:
                self._kinds_declared = True
                return
        self._stopped.add(partition)
        self._halted.add(partition)
        self._topic.leave(partition)
        self._progress.stopped[partition] = error
        stop_partition(self._conn, self._held, partition, str(error))
        log.error("partition %d stops: %s", partition, error)
