"""CLEANUP: what only the migration needed is removed; the soak begins."""

from projector.migration.context import Context
from projector.migration.phase import Phase
from projector.migration.phases.post_cutover_validation import require_switched


class Cleanup(Phase):
    """Names the last position and removes leftovers. Memory goes on applying every write."""

    name = "CLEANUP"

    async def enter(self, run: Context) -> None:
        """Reads are in PostgreSQL still."""
        require_switched(run)

    async def work(self, run: Context) -> None:
        """Clean up."""
        point = await run.effects.savepoint(run.savepoint_name("after-migration"))
        if point is not None:
            run.found.savepoints.append(point)
        run.effects.clean()

    async def gate(self, run: Context) -> str:
        """Nothing can stand in the way any more."""
        return "`memferry switch-back` is open: memory goes on applying every write"

    async def undo(self, run: Context) -> None:
        """Nothing to take back."""
