"""From recorded to acknowledged: groups are awaited until they are durable, then journaled."""

import asyncio
from collections.abc import Sequence

from compose.trading_app.journal import Journal
from compose.trading_app.recording import Recorded

GROUPS_IN_FLIGHT = 8
"""Trading waits when so many groups wait for the disk."""


class Acknowledgement:
    """Takes groups in the order recorded; receipts of one process become durable in that order."""

    def __init__(self, source: str, journal: Journal | None) -> None:
        self._source = source
        self._journal = journal
        self._turn = asyncio.Lock()  # who waits for a place goes in the order of coming
        self._groups: asyncio.Queue[Sequence[Recorded]] = asyncio.Queue(GROUPS_IN_FLIGHT)

    async def add(self, group: Sequence[Recorded]) -> None:
        """Hand a group over; waits while too many are under way."""
        if group:
            async with self._turn:
                await self._groups.put(group)

    async def run(self) -> None:
        """Acknowledge groups until cancelled.

        Raises: OutcomeUnknown where the outbox failed.
        """
        while True:
            group = await self._groups.get()
            await group[-1].receipt.until_durable()
            if self._journal is not None:
                self._journal.acknowledge(group, self._source)
            self._groups.task_done()

    async def complete(self) -> None:
        """Wait until every group handed over is acknowledged."""
        await self._groups.join()
