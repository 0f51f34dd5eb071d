"""The projector: fetch, admit, handle, apply, for as long as it lives or up to a position.

Fetching and handling the next batch overlaps the database's work on this one: the event loop does
the first, one thread the second.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
from aiokafka.errors import KafkaError

from projector.apply import Applier
from projector.batch import Handler, Segment
from projector.checkpoint import (
    Claim,
    Fenced,
    ProjectionHeld,
    claim,
    require_held,
    stop_partition,
)
from projector.control_tables import (
    DatabaseUnreachable,
    State,
    connect,
    establish,
    read_projection,
)
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.lanes import ForeignSource, LaneBook
from projector.log import BrokerUnreachable, Log
from projector.sql import query
from projector.transaction import Transactions
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings

_FETCH_WAIT_MS = 100
_LOCK_WAIT_S = 5.0
_IDLE_LOOK_S = 0.5
_OVERLAPPED_RECORDS = 1_000
"""Batches of fewer are not fetched while another is applied."""
_BACKOFF_S = (0.2, 5.0)
log = logging.getLogger("memferry.projector")


class ProjectorInUse(FerryError):
    """Another projector applies to this projection."""


class Progress(msgspec.Struct):
    """What a run has done; updated after every commit."""

    applied: int = 0
    duplicates: int = 0
    batches: int = 0
    lag: int = 0
    stopped: dict[int, FerryError] = {}


class Projector:
    """One process's work on one projection.

    `state` is the state in which the projection may be worked on; `until` (partition → exclusive
    offset) makes the run end there instead of going on for ever.
    """

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        *,
        state: State = "live",
        until: Mapping[int, int] | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._state: State = state
        self._until = until
        self._on_progress = on_progress
        self._stopping = asyncio.Event()
        self._name = settings.projection or domain.name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="memferry-apply")
        self.progress = Progress()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping.set()

    async def run(self) -> Progress:
        """Apply until stopped, until the target is reached, or until every partition stopped.

        Comes back by itself after Kafka or PostgreSQL was away, and waits while a replay holds the
        projection. Raises at the first start whatever an operator must mend.
        """
        pause, started, held = _BACKOFF_S[0], False, False
        while True:
            try:
                if held:
                    await self._wait_until_live()
                    held = False
                if not self._stopping.is_set():
                    await self._session()
                return self.progress
            except (Fenced, ProjectionHeld) as error:
                if self._until is not None:
                    raise
                log.warning("waiting: %s", error.what)
                held = True
            except (
                psycopg.OperationalError, KafkaError, TimeoutError, OSError,
                DatabaseUnreachable, BrokerUnreachable,
            ) as error:  # fmt: skip
                if not started and self.progress.batches == 0 and isinstance(error, FerryError):
                    raise
                said = str(error).strip() or type(error).__name__  # a TimeoutError says nothing
                log.warning("trying again: %s", said.splitlines()[0])
                await self._sleep(pause * 2 if started else pause)
                pause = min(pause * 2, _BACKOFF_S[1])
            started = True
            if self._stopping.is_set():
                return self.progress

    async def _session(self) -> None:
        settings = self._settings
        async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as topic:
            conn = connect(settings, f"projector {self._name}")
            try:
                projection = establish(conn, settings, self._domain, topic.partitions)
                if self._state == "live":
                    await self._lock(conn)
                sources = await read_control(conn, settings)
                await publish_decisions(conn, settings)
                held = claim(conn, projection, self._state)
                await topic.start_at(held.offsets)
                lanes = LaneBook(projection.generation, held.lanes, sources)
                await _Pump(self, conn, topic, held, lanes).run()
            finally:
                # Closed by the thread that may still be using it, never under its feet.
                await asyncio.get_running_loop().run_in_executor(self._thread, conn.close)

    async def _lock(self, conn: psycopg.Connection[Any]) -> None:
        deadline = asyncio.get_running_loop().time() + _LOCK_WAIT_S
        while True:
            row = conn.execute(query("projector_lock"), (self._name,)).fetchone()
            if row and row[0]:
                return
            if asyncio.get_running_loop().time() > deadline:
                holder = conn.execute(query("holder"), (self._name,)).fetchone()
                who, since = holder or ("unknown", "unknown")
                raise ProjectorInUse(
                    f"{who} applies to projection {self._name!r}, last at {since:%Y-%m-%d %H:%M:%S}"
                    if holder
                    else f"another projector applies to projection {self._name!r}",
                    where="all its partitions",
                    remedy="stop that projector first, or let it go on: one is enough",
                )
            await asyncio.sleep(0.1)  # a killed projector's connection takes a moment to end

    async def _wait_until_live(self) -> None:
        conn = connect(self._settings, f"projector {self._name} waiting")
        try:
            conn.execute("LISTEN memferry_projection")
            while not self._stopping.is_set():
                if read_projection(conn, self._name).state == "live":
                    return
                await asyncio.to_thread(lambda: list(conn.notifies(timeout=0.5, stop_after=1)))
        finally:
            conn.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


class _Pump:
    """One claim's worth of work."""

    def __init__(
        self,
        owner: Projector,
        conn: psycopg.Connection[Any],
        topic: Log,
        held: Claim,
        lanes: LaneBook,
    ) -> None:
        self._owner = owner
        self._conn = conn
        self._topic = topic
        self._held = held
        self._lanes = lanes
        self._read = dict(held.offsets)
        self._handler = Handler(owner._domain, lanes)
        schema = held.projection.name
        applier = Applier(conn, schema, owner._domain.tables.values())
        self._transactions = Transactions(conn, applier, owner._domain, held)
        self._applied_before = owner.progress.applied
        owner.progress.stopped.clear()  # what stopped before is tried again
        self._stopped: set[int] = set()
        self._halted: set[int] = set()  # stopped, or about to be: nothing behind is looked at
        self._looked = time.monotonic()
        self._fetched = 0

    async def run(self) -> None:
        owner, loop = self._owner, asyncio.get_running_loop()
        pending: asyncio.Future[list[tuple[Segment, FerryError]]] | None = None
        applying: list[Segment] = []
        try:
            while not (owner._stopping.is_set() or self._done()):
                if pending is not None and self._fetched < _OVERLAPPED_RECORDS:
                    # Close behind the log, waiting first means one batch between an event and its
                    # row; to overlap would put another one of a few events before it.
                    finished, pending = pending, None
                    await self._settle(await finished)
                found = await self._topic.fetch(
                    owner._settings.projector.batch_events, _FETCH_WAIT_MS
                )
                self._fetched = sum(map(len, found.values()))
                segments = [
                    self._segment(p, rs) for p, rs in found.items() if p not in self._halted
                ]
                if pending is not None:
                    finished, pending = pending, None
                    await self._settle(await finished)
                applying = [s for s in segments if s.partition not in self._stopped]
                if applying:
                    pending = loop.run_in_executor(
                        owner._thread, self._transactions.apply, applying
                    )
                elif time.monotonic() - self._looked > _IDLE_LOOK_S:
                    require_held(self._conn, self._held)  # a replay has nothing to tell it
                    self._looked = time.monotonic()
        finally:
            if pending is not None:
                await self._settle(await pending)

    def _done(self) -> bool:
        until = self._owner._until
        if until is None:
            return len(self._stopped) == len(self._read)
        return all(self._read[p] >= end or p in self._stopped for p, end in until.items())

    def _segment(self, partition: int, records: Any) -> Segment:
        until = (self._owner._until or {}).get(partition)
        segment = self._handler.segment(partition, self._read[partition], records, until)
        self._read[partition] = segment.new_offset
        if segment.stopped is not None:
            self._halted.add(partition)
        return segment

    async def _settle(self, stops: list[tuple[Segment, FerryError]]) -> None:
        progress = self._owner.progress
        progress.applied = self._applied_before + self._transactions.applied
        progress.duplicates = self._lanes.duplicates
        progress.batches += 1
        for segment, error in stops:
            await self._stop_or_learn(segment.partition, error)
        progress.lag = self._topic.lag(self._read)
        self._owner._on_progress(progress)

    async def _stop_or_learn(self, partition: int, error: FerryError) -> None:
        if isinstance(error, ForeignSource):
            # A source may have opened since the control topic was read last.
            self._lanes.sources |= await read_control(self._conn, self._owner._settings)
            if error.lane.source in self._lanes.sources:
                self._topic.seek(partition, self._held.offsets[partition])
                self._read[partition] = self._held.offsets[partition]
                self._halted.discard(partition)
                return
        self._stopped.add(partition)
        self._halted.add(partition)
        self._topic.leave(partition)
        self._owner.progress.stopped[partition] = error
        stop_partition(self._conn, self._held, partition, str(error))
        log.error("partition %d stops: %s", partition, error)
