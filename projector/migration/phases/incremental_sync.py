"""INCREMENTAL_SYNC: the tables catch up with the log while the app trades on."""

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase, require_unparked
from projector.standing import Standing


class IncrementalSync(Phase):
    """Waits until the tables are close behind the log."""

    name = "INCREMENTAL_SYNC"

    def __init__(self) -> None:
        self._found = Standing(0, 0, {})

    async def enter(self, run: Context) -> None:
        """Nothing to prepare."""

    async def work(self, run: Context) -> None:
        """Wait, showing the lag."""
        most = run.settings.migration.max_lag_events
        self._found = await run.until_applied(lambda now: now.lag <= most, "the projector")

    async def gate(self, run: Context) -> str:
        """Close behind, no partition stopped, and nothing parked on the way."""
        for partition, why in self._found.stopped.items():
            raise GateClosed(
                f"partition {partition} stopped: {why.splitlines()[0]}",
                where=f"projection {run.projection}, partition {partition}",
                remedy="`memferry status` shows the whole reason; mend it, restart the projector",
            )
        lag, most = self._found.lag, run.settings.migration.max_lag_events
        if lag > most and not run.effects.dry:
            raise GateClosed(
                f"the tables are {lag:,} records behind after "
                f"{run.settings.migration.timeout_ms} ms",
                where=f"projection {run.projection}",
                remedy="let the projector catch up, or raise `migration.timeout_ms`",
            )
        require_unparked(run)
        return f"{self._found.applied:,} records applied, {lag:,} behind"

    async def undo(self, run: Context) -> None:
        """Nothing: the tables are a projection and may stay."""
