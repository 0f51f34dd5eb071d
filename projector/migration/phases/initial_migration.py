"""INITIAL_MIGRATION: what memory held before the shim was attached goes through the log."""

from collections.abc import Mapping
from typing import Any

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase
from schemas.requests import SnapshotAnswer

_PATIENCE_S = 30.0


class InitialMigration(Phase):
    """Has each source record its first snapshot, while it trades."""

    name = "INITIAL_MIGRATION"

    def __init__(self) -> None:
        self._answers: dict[str, SnapshotAnswer] = {}

    async def enter(self, run: Context) -> None:
        """Nothing to prepare: a snapshot that was cut short is finished, never begun twice."""
        self._answers = {}

    async def work(self, run: Context) -> None:
        """Ask, and show how far the apps are."""

        def told(answers: Mapping[str, Any]) -> None:
            self._answers = {
                source: msgspec.convert(answer, SnapshotAnswer)
                for source, answer in answers.items()
                if answer is not None
            }
            run.tell(
                done=sum(answer.streams for answer in self._answers.values()),
                total=sum(answer.total for answer in self._answers.values()),
                unit="streams",
            )

        told(await run.effects.ask(run.found.sources, "snapshot", _PATIENCE_S, told))

    async def gate(self, run: Context) -> str:
        """Every stream that memory holds is in the log."""
        for source, answer in self._answers.items():
            if answer.error or not answer.done:
                raise GateClosed(
                    f"the first snapshot of source {source!r} stopped: {answer.error}",
                    where=f"source {source}, {answer.streams} of {answer.total} streams recorded",
                    remedy="mend what the app's log says, restart the app, run it again",
                )
        streams = sum(answer.streams for answer in self._answers.values())
        return f"{streams:,} streams recorded that the log did not hold" if self._answers else ""

    async def undo(self, run: Context) -> None:
        """Nothing: what the log holds is true, and stays."""
