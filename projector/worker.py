"""One worker: a connection, a consumer and a thread, and the partitions that it has for now.

Whatever the consumer group says, or says too late, the claim in PostgreSQL decides: it is taken
with a new term at each assignment, and whoever had a partition before can commit no more.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from projector.checkpoint import Fenced, claim, last_applied, stop_partition
from projector.control_tables import ProjectionMismatch, State, read_projection
from projector.log import Log, LogChanged
from projector.member import Member
from projector.pump import Pump
from projector.session import Session
from projector.waking import any_of

log = logging.getLogger("memferry.projector")


class Worker:
    """Works in a session, on all partitions or on those that its membership brings it.

    The connection is used by `thread` while a batch is applied, else by the event loop.
    """

    def __init__(
        self,
        session: Session,
        conn: psycopg.Connection[Any],
        topic: Log,
        thread: ThreadPoolExecutor,
    ) -> None:
        self._session = session
        self._conn = conn
        self._topic = topic
        self._thread = thread
        self._look = asyncio.Event()
        self._pump: Pump | None = None
        session.looks.append(self._look)
        topic.limit(session.fetch_bytes)

    async def run_fixed(
        self, partitions: Collection[int], state: State, until: Mapping[int, int] | None
    ) -> None:
        """Work on these partitions until the session is over, or `until` is reached.

        Raises: Fenced, ProjectionHeld, LogChanged, psycopg.Error.
        """
        await self._work(partitions, state, until, None)

    async def run_member(self, member: Member) -> None:
        """Work on what the group assigns until the session is over.

        Raises: ProjectionHeld where a replay has the projection; ProjectionMismatch where the
                topic got other partitions; LogChanged, BrokerUnreachable, psycopg.Error.
        """
        session = self._session
        while not session.over:
            given = member.take()
            self._require_as_before(member)
            if self._pump is not None:
                self._pump.forget(given or frozenset())
            if not given:
                await any_of(
                    session.stopping.wait(), session.ended.wait(), member.changed.wait(),
                    self._look.wait(),
                )  # fmt: skip
                self._look.clear()  # there is nothing of ours to look at
                continue
            try:
                await self._work(given, "live", None, member)
            except Fenced as error:
                if read_projection(self._conn, session.projection.name).state != "live":
                    raise
                if not member.changed.is_set():  # else it is told already what it has now
                    log.info("partitions are to be shared out anew: %s", error.what)
                    member.rejoin()

    async def _work(
        self,
        partitions: Collection[int],
        state: State,
        until: Mapping[int, int] | None,
        member: Member | None,
    ) -> None:
        session, conn = self._session, self._conn
        held = await asyncio.get_running_loop().run_in_executor(
            self._thread, claim, conn, session.projection, state, partitions
        )
        offsets, tails = last_applied(conn, session.projection.name)
        pump = self._pump = Pump(
            session, conn, self._topic, held, session.voids(conn),
            thread=self._thread, look=self._look, until=until,
            over=lambda: session.over or (member is not None and member.changed.is_set()),
        )  # fmt: skip
        if member is not None:
            self._look.set()  # what was asked while nobody had these partitions
        try:
            await self._topic.start_at(offsets | held.offsets, tails | held.tails, partitions)
            await pump.run()
        except LogChanged as error:
            session.progress.stopped[error.partition] = error
            if error.partition in held.terms:
                stop_partition(conn, held, error.partition, str(error))
            raise

    def _require_as_before(self, member: Member) -> None:
        projection, now = self._session.projection, member.partitions_of_topic
        if now and now != projection.partitions:
            raise ProjectionMismatch(
                f"topic {self._topic.topic!r} has {now} partitions by now, the projection "
                f"{projection.partitions}",
                where=f"memferry.projection, name {projection.name}",
                remedy="a topic's partitions are fixed: what goes to new ones is in no lane; begin "
                "a new `topic` and `projection`",
            )
