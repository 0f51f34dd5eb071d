"""CUTOVER_PREPARATION: the way back is proved, readers are tried out, the pause is foreseen."""

import asyncio

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase, require_unparked
from projector.migration.phases.validation import require_equal
from projector.standing import standing
from schemas.requests import SampleAnswer

_PATIENCE_S = 30.0


class CutoverPreparation(Phase):
    """Has reads compared behind the app's back: what the tables answer is what memory answers.

    The way back is memory itself: VALIDATION has just shown that it holds what the log holds, and
    it goes on applying every event.
    """

    name = "CUTOVER_PREPARATION"

    def __init__(self) -> None:
        self._samples: dict[str, SampleAnswer] = {}

    async def enter(self, run: Context) -> None:
        """Name the position, and let the planner know the tables: they were filled in bulk."""
        point = await run.effects.savepoint(run.savepoint_name("before-cutover"))
        if point is not None:
            run.found.savepoints.append(point)
        await asyncio.to_thread(run.effects.analyze)

    async def work(self, run: Context) -> None:
        """Read from both, in every app; reads of the tables end where a stream is parked."""
        require_unparked(run)
        run.tell(waits_for="reads from memory and tables to be compared")
        await run.effects.shadow("shadow", run.found.sources)
        answers = await run.effects.ask(run.found.sources, "sample", _PATIENCE_S)
        self._samples = {s: msgspec.convert(a, SampleAnswer) for s, a in answers.items()}
        if not any(sample.mismatches for sample in self._samples.values()):
            run.tell(waits_for="the comparison that the pause will go on from")
            await keep_digests(run)

    async def gate(self, run: Context) -> str:
        """Every read agrees, the tables are close behind, and nobody wrote who must not."""
        run.effects.require_held()
        require_unparked(run)
        for source, sample in self._samples.items():
            if sample.mismatches:
                raise GateClosed(
                    f"source {source!r} reads other values from the tables than from memory: "
                    f"{sample.mismatches[0]}",
                    where=f"source {source}, {len(sample.mismatches)} of {sample.compared} reads",
                    remedy="`memferry audit` compares every row; where that is clean, look at the "
                    "kind's `entities`",
                )
        async with run.log() as log:
            now = await standing(run.conn, log, run.projection)
        if now.lag > run.settings.migration.max_lag_events and not run.effects.dry:
            raise GateClosed(
                f"the tables fell {now.lag:,} records behind",
                where=f"projection {run.projection}",
                remedy="run it again once the load is lower, or raise `migration.max_lag_events`",
            )
        compared = sum(sample.compared for sample in self._samples.values())
        return f"{compared:,} reads equal from memory and tables, {now.lag:,} records behind"

    async def undo(self, run: Context) -> None:
        """Reads are compared no more."""
        if run.route() == "shadow":
            await run.effects.shadow("memory", run.found.sources)


async def keep_digests(run: Context) -> None:
    """Have the tables keep digests from a moment at which all is equal; raises GateClosed."""
    timeout_s = run.settings.migration.timeout_ms / 1000
    found = await run.effects.keep_digests(run.found.sources, timeout_s)
    if found is not None:
        run.found.audits.append(found)
        require_equal(found)
