"""CUTOVER: writers stand still for a moment, and reads move to PostgreSQL."""

from projector.migration.context import Context
from projector.migration.fences import FenceBroken
from projector.migration.phase import GateClosed, Phase
from projector.migration.phases.cutover_preparation import keep_digests
from projector.migration.unchanged import BaseOutdated, TablesChanged
from projector.parked import EventsParked


class Cutover(Phase):
    """One fence, one barrier in every lane, one decision; tried again where the lease was short."""

    name = "CUTOVER"

    def __init__(self) -> None:
        self._refused: FenceBroken | EventsParked | TablesChanged | BaseOutdated | None = None

    async def enter(self, run: Context) -> None:
        """Nothing to prepare: what a dead run left was settled before."""
        self._refused = None

    async def work(self, run: Context) -> None:
        """Switch; a run that took over after the decision finds it made."""
        if run.route() != "postgres":
            try:
                try:
                    await self._switch(run)
                except BaseOutdated:  # an app started anew meanwhile, or counts anew
                    await self._switch(run)
            except (FenceBroken, EventsParked, TablesChanged, BaseOutdated) as error:
                self._refused = error
                return
        run.found.hold_ms = await run.effects.release()

    async def _switch(self, run: Context) -> None:
        await keep_digests(run)  # a run that took over has none to go on from
        run.tell(waits_for="the switch")
        run.found.cutover = await run.effects.switch("postgres", run.found.sources)

    async def gate(self, run: Context) -> str:
        """Reads are in PostgreSQL."""
        if self._refused is not None:
            raise GateClosed(
                f"the cutover was aborted: {self._refused.what}",
                where=self._refused.where,
                remedy=self._refused.remedy,
            ) from self._refused
        found = run.found.cutover
        if found is None:
            return ""
        left = ", ".join(sorted(run.domain.tables.keys() - set(found.compared)))
        beside = f", left to the audits: {left}" if left else ""
        return (
            f"writers stood still for {found.pause_ms:.1f} ms, {len(found.compared)} tables "
            f"compared meanwhile{beside}"
        )

    async def undo(self, run: Context) -> None:
        """Reads return to memory, which has every write."""
        if run.route() == "postgres":
            await run.effects.switch("memory", run.found.sources)
