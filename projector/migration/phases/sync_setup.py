"""SYNC_SETUP: what is recorded in memory arrives in the tables, end to end, and how soon."""

import asyncio
import time
from typing import Any

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase
from projector.sql import query
from schemas.position import FIRST_GENERATION
from schemas.requests import BarrierAnswer

_PATIENCE_S = 15.0
_LOOK_S = 0.05


class SyncSetup(Phase):
    """Has each source put a barrier into every partition, and finds it in the tables' lanes."""

    name = "SYNC_SETUP"

    def __init__(self) -> None:
        self._missing = ""

    async def enter(self, run: Context) -> None:
        """Nothing to prepare."""

    async def work(self, run: Context) -> None:
        """Put the barriers, wait until all are applied."""
        run.tell(waits_for="barriers to reach the tables")
        answers = await run.effects.ask(run.found.sources, "barrier", _PATIENCE_S)
        heads = {
            source: msgspec.convert(a, BarrierAnswer, str_keys=True).heads
            for source, a in answers.items()
        }
        self._missing = await _wait_for_lanes(run, heads)

    async def gate(self, run: Context) -> str:
        """The way is open."""
        if self._missing:
            raise GateClosed(
                f"a barrier did not reach the tables in time: {self._missing}",
                where=f"projection {run.projection}",
                remedy="`memferry status` shows where events wait: relay, Kafka or projector",
            )
        return ""

    async def undo(self, run: Context) -> None:
        """Nothing: a barrier touches no table."""


async def _wait_for_lanes(run: Context, heads: dict[str, dict[int, int]]) -> str:
    """Return once these lanes are applied so far; otherwise the first that is not, at the end."""
    deadline = time.monotonic() + run.settings.migration.timeout_ms / 1000
    while True:
        rows: list[Any] = run.conn.execute(
            query("lanes_read"), (run.projection, FIRST_GENERATION)
        ).fetchall()
        applied = {(source, partition): seq for source, partition, seq, *_ in rows}
        missing = [
            f"source {source!r}, partition {partition}, seq {seq}"
            for source, lanes in heads.items()
            for partition, seq in lanes.items()
            if applied.get((source, partition), 0) < seq
        ]
        if not missing:
            return ""
        if time.monotonic() > deadline:
            return missing[0]
        await asyncio.sleep(_LOOK_S)
