"""PREPARING: everything that takes part is there; the position has a name, the tables a backup."""

import asyncio
import time

from projector.control_tables import ProjectionMissing, read_projection
from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase, require_unparked
from projector.sql import query

_LOOK_S = 0.2
_PATIENCE_S = 30.0


class Preparing(Phase):
    """Looks at the sources, the projection and its projector."""

    name = "PREPARING"

    async def enter(self, run: Context) -> None:
        """The projection may be applied to."""
        try:
            projection = read_projection(run.conn, run.projection)
        except ProjectionMissing:  # a dry run makes no tables
            return
        if projection.state != "live":
            raise GateClosed(
                f"projection {run.projection!r} is {projection.state}: {projection.reason}",
                where="memferry.projection",
                remedy="`memferry resume` lets it go on; after a replay that was cut short, "
                "`memferry replay --to-end`",
            )

    async def work(self, run: Context) -> None:
        """Wait for app and projector, for somebody may be starting them; name the position."""
        await self._wait_for_parts(run)
        point = await run.effects.savepoint(run.savepoint_name("before-migration"))
        if point is not None:
            run.found.savepoints.append(point)
        run.tell(waits_for="a backup")
        run.found.backup = await run.effects.backup(run.savepoint_name("before-migration"))

    async def gate(self, run: Context) -> str:
        """Every part is there."""
        if not run.found.sources:
            raise GateClosed(
                "no source is registered: there is no memory to migrate",
                where=f"control topic of {run.settings.topic!r}",
                remedy="start the app with the shim attached and `topic` the same as here",
            )
        if not _projector_runs(run):
            raise GateClosed(
                f"no projector applies to projection {run.projection!r}",
                where=f"topic {run.settings.topic!r}",
                remedy="start `memferry project` and let it run; it keeps the tables up to date "
                "from now on",
            )
        require_unparked(run)
        backup = f", backup {run.found.backup}" if run.found.backup else ""
        return f"{len(run.found.sources)} source(s), a projector at work{backup}"

    async def undo(self, run: Context) -> None:
        """Nothing: a savepoint is a name, and names stay; so does a backup."""

    async def _wait_for_parts(self, run: Context) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not run.effects.dry and time.monotonic() < deadline:
            if not run.found.sources:
                run.tell(waits_for="an app with the shim")
                run.found.sources = await run.effects.sources()
            elif _projector_runs(run):
                return
            else:
                run.tell(waits_for="a projector: start `memferry project`")
            await asyncio.sleep(_LOOK_S)


def _projector_runs(run: Context) -> bool:
    row = run.conn.execute(query("projector_runs"), (run.projection,)).fetchone()
    return bool(row and row[0])
