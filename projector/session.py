"""What the workers of one process have in common, until something makes them begin anew.

Kinds, sources and mends are read once for all of them, and what PostgreSQL announces is heard once.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import psycopg

from projector.control_tables import Projection
from projector.control_topic import read_control
from projector.declared import whole_domain
from projector.memory import Budget
from projector.mends import read_mends
from projector.notices import Notices
from projector.progress import Progress
from projector.voids import adopt, obeyed_by
from schemas.domain import Domain
from schemas.mend import Mend
from schemas.settings import Settings
from schemas.void import Void, VoidNotObeyed, Voids

CHANNELS = ("memferry_projection", "memferry_request")


class Session:
    """One stretch of work on a projection, with the kinds and the sources as they are now."""

    def __init__(
        self,
        settings: Settings,
        domain: Domain,
        projection: Projection,
        sources: set[str],
        mends: tuple[Mend, ...],
        *,
        progress: Progress,
        on_progress: Callable[[Progress], None],
        stopping: asyncio.Event,
        assumed: tuple[Void, ...] = (),
        lifted: Collection[str] = (),
    ) -> None:
        self.settings = settings
        self.domain = domain
        self.projection = projection
        self.sources = sources
        self.mends = mends
        self._assumed, self._lifted = assumed, lifted
        self.progress = progress
        self.on_progress = on_progress
        self.stopping = stopping
        """Set by whoever wants the projector to end."""
        budget = progress.budget = Budget(settings, projection.partitions)
        self.fetch_bytes, self.batch_bytes = budget.fetch_bytes, budget.batch_bytes
        """Most of one fetch from one partition, and of one batch's events together."""
        self.ended = asyncio.Event()
        """Set where the workers are to come back for another reason."""
        self.again = False
        """Whether a new session should follow."""
        self.looks: list[asyncio.Event] = []
        """Set at each announcement about the projection: one for each worker."""
        self._unknown: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether the workers should come back after the batch at hand."""
        return self.stopping.is_set() or self.ended.is_set()

    def end(self, *, again: bool) -> None:
        """Have all workers come back after their batches at hand."""
        self.again = self.again or again
        self.ended.set()

    async def knows(self, types: set[str]) -> bool:
        """Ask the control topic, once for each, whether it has these event types by now.

        Where it has one, the session ends: the next one reads such events.
        """
        new = types - self._unknown
        if not new:
            return False
        whole = await whole_domain(self.settings, self.domain)
        if any(name in whole.readers for name in new):
            self.end(again=True)
            return True
        self._unknown |= new
        return False

    def look_for_mends(self, conn: psycopg.Connection[Any]) -> None:
        """End the session where a partition has stopped and there is a mend that is not known."""
        if self.progress.stopped and read_mends(conn, self.settings.topic) != self.mends:
            self.end(again=True)

    def voids(self, conn: psycopg.Connection[Any]) -> Voids:
        """Return what the projection's rows obey: for whoever has claimed it just now."""
        projection = self.projection
        return obeyed_by(
            conn, self.settings.topic, projection.generation, projection.name,
            assumed=self._assumed, lifted=self._lifted,
        )  # fmt: skip

    async def learn_voids(self, conn: psycopg.Connection[Any], obeyed: Voids) -> bool:
        """Read the control topic again; end the session where other voids are to be obeyed now."""
        await read_control(conn, self.settings)
        await asyncio.to_thread(
            adopt, conn, self.settings.topic, self.projection.name,
            assumed=self._assumed, lifted=self._lifted, state=self.projection.state,
        )  # fmt: skip
        return self._end_if_unlike(conn, obeyed)

    def look_for_voids(self, conn: psycopg.Connection[Any], obeyed: Voids) -> None:
        """End the session where a partition stopped at a mark, and other voids are obeyed now."""
        if any(isinstance(error, VoidNotObeyed) for error in self.progress.stopped.values()):
            self._end_if_unlike(conn, obeyed)

    def _end_if_unlike(self, conn: psycopg.Connection[Any], obeyed: Voids) -> bool:
        now = self.voids(conn)
        if (now.obeyed, now.restored, now.open) == (obeyed.obeyed, obeyed.restored, obeyed.open):
            return False
        self.end(again=True)
        return True

    async def learn_sources(self, conn: psycopg.Connection[Any]) -> set[str]:
        """Read the control topic again; return every source that it names."""
        self.sources |= await read_control(conn, self.settings)
        return self.sources

    async def listen(self, notices: Notices) -> None:
        """Have the workers look at each announcement about the projection, until cancelled.

        Raises: DatabaseUnreachable.
        """
        async for notice in notices:
            if notice.payload == self.projection.name:
                for look in self.looks:
                    look.set()
