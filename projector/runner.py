"""The projector: fetch, admit, handle, apply, for as long as it lives or up to a position.

Sessions come and go with Kafka and PostgreSQL; the work of one is in projector/pump.py. Fetching
and handling the next batch overlaps the database's work on this one: the event loop does the first,
one thread the second.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from aiokafka.errors import KafkaError

from projector.checkpoint import Claim, Fenced, ProjectionHeld, claim, stop_partition
from projector.control_tables import (
    DatabaseUnreachable,
    State,
    connect,
    establish,
    read_projection,
)
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.declared import whole_domain
from projector.lanes import LaneBook
from projector.log import BrokerUnreachable, Log, LogChanged
from projector.progress import Progress
from projector.pump import Pump
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings

_LOCK_WAIT_S = 5.0
_BACKOFF_S = (0.2, 5.0)
log = logging.getLogger("memferry.projector")


class ProjectorInUse(FerryError):
    """Another projector applies to this projection."""


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
                while not self._stopping.is_set() and await self._session():
                    log.info("going on with kinds that were declared since")
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

    async def _session(self) -> bool:
        """Work under one claim; True where kinds were declared that it did not know."""
        settings = self._settings
        domain = await whole_domain(settings, self._domain)
        async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as topic:
            conn = connect(settings, f"projector {self._name}")
            try:
                projection = establish(conn, settings, domain, topic.partitions)
                if self._state == "live":
                    await self._lock(conn)
                sources = await read_control(conn, settings)
                await publish_decisions(conn, settings)
                held = claim(conn, projection, self._state)
                lanes = LaneBook(projection.generation, held.lanes, sources)
                pump = Pump(
                    settings, domain, conn, topic, held, lanes=lanes, thread=self._thread,
                    stopping=self._stopping, until=self._until, progress=self.progress,
                    on_progress=self._on_progress,
                )  # fmt: skip
                return await _pumping(conn, topic, held, pump)
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


async def _pumping(conn: psycopg.Connection[Any], topic: Log, held: Claim, pump: Pump) -> bool:
    try:
        await topic.start_at(held.offsets, held.tails)
        return await pump.run()
    except LogChanged as error:
        stop_partition(conn, held, error.partition, str(error))
        raise
