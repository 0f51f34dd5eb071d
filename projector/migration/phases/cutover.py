"""CUTOVER: writers stand still for a moment, and reads move to PostgreSQL."""

from projector.migration.context import Context
from projector.migration.fences import FenceBroken
from projector.migration.phase import GateClosed, Phase
from projector.parked import EventsParked


class Cutover(Phase):
    """One fence, one barrier in every lane, one decision; tried again where the lease was short."""

    name = "CUTOVER"

    def __init__(self) -> None:
        self._refused: FenceBroken | EventsParked | None = None

    async def enter(self, run: Context) -> None:
        """Nothing to prepare: what a dead run left was settled before."""
        self._refused = None

    async def work(self, run: Context) -> None:
        """Switch; a run that took over after the decision finds it made."""
        if run.route() != "postgres":
            run.tell(waits_for="the switch")
            try:
                run.found.cutover = await run.effects.switch("postgres", run.found.sources)
            except (FenceBroken, EventsParked) as error:
                self._refused = error
                return
        run.found.hold_ms = await run.effects.release()

    async def gate(self, run: Context) -> str:
        """Reads are in PostgreSQL."""
        if self._refused is not None:
            raise GateClosed(
                f"the cutover was aborted: {self._refused.what}",
                where=self._refused.where,
                remedy=self._refused.remedy,
            ) from self._refused
        found = run.found.cutover
        return f"writers stood still for {found.pause_ms:.1f} ms" if found else ""

    async def undo(self, run: Context) -> None:
        """Reads return to memory, which has every write."""
        if run.route() == "postgres":
            await run.effects.switch("memory", run.found.sources)
