"""The projector: fetch, admit, handle, apply, for as long as it lives or up to a position.

Sessions come and go with Kafka and PostgreSQL; the work of one is done by workers, each with its
share of the partitions (projector/worker.py). Fetching and handling the next batch overlaps the
database's work on this one: the event loop does the first for all workers, a thread of each worker
the second.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from projector.checkpoint import Fenced, ProjectionHeld
from projector.control_tables import (
    State,
    connect,
    establish,
    read_projection,
)
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.declared import whole_domain
from projector.log import Log
from projector.member import Member
from projector.mends import read_mends
from projector.notices import Notices
from projector.progress import Progress
from projector.session import CHANNELS, Session
from projector.sql import query
from projector.transient import TRANSIENT, first_line
from projector.voids import adopt
from projector.waking import any_of, until_one_ends
from projector.worker import Worker
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.void import Void

_LOCK_WAIT_MS = 5_000  # a killed projector's connection takes a moment to end
_BACKOFF_S = (0.2, 5.0)
log = logging.getLogger("memferry.projector")


class ProjectorInUse(FerryError):
    """Somebody else applies to this projection who cannot share it."""


class Projector:
    """One process's work on one projection.

    `state` is the state in which the projection may be worked on; `until` (partition → exclusive
    offset) makes the run end there instead of going on for ever. Without `until`, and live, any
    number of processes share the partitions through a consumer group, with `max_concurrency`
    workers in each; every other run has all partitions to itself. `assumed` voids, which are
    prepared, are obeyed from the beginning, those `lifted`, by their ids, are not.
    """

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        *,
        state: State = "live",
        until: Mapping[int, int] | None = None,
        assumed: Iterable[Void] = (),
        lifted: Collection[str] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._assumed, self._lifted = tuple(assumed), lifted
        self._settings = settings
        self._domain = domain
        self._state: State = state
        self._until = until
        self._on_progress = on_progress
        self._stopping = asyncio.Event()
        self._name = settings.projection or domain.name
        self._topic = kafka_topic(settings.topic, FIRST_GENERATION)
        self._shares = state == "live" and until is None
        count = settings.projector.max_concurrency if self._shares else 1
        self._threads = [
            ThreadPoolExecutor(1, thread_name_prefix=f"memferry-apply-{number}")
            for number in range(count)
        ]
        self._members = AsyncExitStack()
        self._joining: list[asyncio.Task[Member]] = []
        self.progress = Progress()

    def stop(self) -> None:
        """End after the batches at hand."""
        self._stopping.set()

    async def run(self) -> Progress:
        """Apply until stopped, until the target is reached, or until every partition stopped.

        Of partitions that are shared, all must have stopped, whoever has them. Comes back by
        itself after Kafka or PostgreSQL was away, and waits while a replay holds the projection.
        Raises at the first start whatever an operator must mend.
        """
        pause, started, held = _BACKOFF_S[0], False, False
        while True:
            try:
                if held:
                    await self._wait_until_live()
                    held = False
                try:
                    while not self._stopping.is_set() and await self._session():
                        log.info("going on with what was declared since")
                finally:
                    await self._leave()
                return self.progress
            except (Fenced, ProjectionHeld) as error:
                if self._until is not None:
                    raise
                if self._stopping.is_set():
                    return self.progress
                log.warning("waiting: %s", error.what)
                self.progress.partitions.clear()
                held = True
            except TRANSIENT as error:
                if not started and self.progress.batches == 0 and isinstance(error, FerryError):
                    raise
                log.warning("trying again: %s", first_line(error))
                await self._sleep(pause * 2 if started else pause)
                pause = min(pause * 2, _BACKOFF_S[1])
            started = True
            if self._stopping.is_set():
                return self.progress

    async def _session(self) -> bool:
        """Work until something makes it end; return whether to go on with another session."""
        settings = self._settings
        domain = await whole_domain(settings, self._domain)
        self._join()  # meanwhile
        async with AsyncExitStack() as stack:
            topic = await stack.enter_async_context(Log(settings, self._topic))
            conn = await self._connected(stack, 0)
            projection = establish(conn, settings, domain, topic.partitions)
            await self._lock(conn)
            sources = await read_control(conn, settings)
            await asyncio.to_thread(
                adopt, conn, settings.topic, self._name,
                assumed=self._assumed, lifted=self._lifted, state=self._state,
            )  # fmt: skip
            await publish_decisions(conn, settings)
            session = Session(
                settings, domain, projection, sources, read_mends(conn, settings.topic),
                progress=self.progress, on_progress=self._on_progress, stopping=self._stopping,
                assumed=self._assumed, lifted=self._lifted,
            )  # fmt: skip
            self.progress.partitions.clear()  # of an earlier session
            self.progress.stopped.clear()  # what stopped before is tried again
            workers = [Worker(session, conn, topic, self._threads[0])]
            if not self._shares:
                await workers[0].run_fixed(range(projection.partitions), self._state, self._until)
                return session.again
            notices = await stack.enter_async_context(
                Notices(settings, f"projector {self._name} listening", CHANNELS)
            )
            for number in range(1, len(self._threads)):
                topic = await stack.enter_async_context(Log(settings, self._topic))
                conn = await self._connected(stack, number)
                await self._lock(conn)
                workers.append(Worker(session, conn, topic, self._threads[number]))
            members = await asyncio.gather(*self._joining)
            works: list[Coroutine[Any, Any, None]] = [
                worker.run_member(member) for worker, member in zip(workers, members, strict=True)
            ]
            await until_one_ends([*works, session.listen(notices)], session.ended)
            return session.again

    def _join(self) -> None:
        """Begin to be let into the consumer group, where that was not begun before."""
        if self._shares and not self._joining:
            self._joining = [
                asyncio.create_task(
                    self._members.enter_async_context(
                        Member(self._settings, self._topic, self._name, number)
                    )
                )
                for number in range(len(self._threads))
            ]

    async def _leave(self) -> None:
        joining, self._joining = self._joining, []
        await asyncio.gather(*joining, return_exceptions=True)
        await self._members.aclose()

    async def _connected(self, stack: AsyncExitStack, number: int) -> psycopg.Connection[Any]:
        conn = connect(self._settings, f"projector {self._name}")

        async def close() -> None:
            # By the thread that may still be using it, never under its feet.
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads[number], conn.close)

        stack.push_async_callback(close)
        return conn

    async def _lock(self, conn: psycopg.Connection[Any]) -> None:
        """Keep out whoever cannot share the projection, for as long as the connection lives."""
        if self._state != "live":
            return  # the state itself keeps others out
        statement = query("projector_lock_shared" if self._shares else "projector_lock_alone")

        def wait() -> None:
            conn.execute(query("patience_of_session"), (f"{_LOCK_WAIT_MS}ms",))
            conn.execute(statement, (self._name,))
            conn.execute(query("patience_of_session"), ("0",))

        try:
            await asyncio.to_thread(wait)
        except psycopg.errors.LockNotAvailable as error:
            holder = conn.execute(query("holder"), (self._name,)).fetchone()
            raise ProjectorInUse(
                f"{holder[0]} applies to projection {self._name!r}, "
                f"last at {holder[1]:%Y-%m-%d %H:%M:%S}"
                if holder
                else f"another projector applies to projection {self._name!r}",
                where="all its partitions",
                remedy="wait for it: while one run has all partitions to itself, no other may work"
                if self._shares
                else "stop the projectors first, or let them go on: they apply all there is",
            ) from error

    async def _wait_until_live(self) -> None:
        async with Notices(
            self._settings, f"projector {self._name} waiting", CHANNELS[:1]
        ) as notices:
            conn = connect(self._settings, f"projector {self._name} looking")
            try:
                while not self._stopping.is_set():
                    if read_projection(conn, self._name).state == "live":
                        return
                    await any_of(self._stopping.wait(), notices.next())
            finally:
                conn.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
