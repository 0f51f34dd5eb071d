"""POST_CUTOVER_VALIDATION: every app reads the tables, and memory, log and tables are equal."""

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase, require_unparked
from projector.migration.phases.validation import require_equal
from projector.route import followers
from schemas.requests import SampleAnswer

_PATIENCE_S = 30.0


class PostCutoverValidation(Phase):
    """Looks at everything once more; where it is not well, the undoing of CUTOVER goes back."""

    name = "POST_CUTOVER_VALIDATION"

    def __init__(self) -> None:
        self._samples: dict[str, SampleAnswer] = {}

    async def enter(self, run: Context) -> None:
        """Reads are in PostgreSQL still."""
        require_switched(run)

    async def work(self, run: Context) -> None:
        """Read a sample in every app, then compare everything."""
        require_unparked(run)
        run.tell(waits_for="the comparison of memory, log and tables")
        answers = await run.effects.ask(run.found.sources, "sample", _PATIENCE_S)
        self._samples = {s: msgspec.convert(a, SampleAnswer) for s, a in answers.items()}
        timeout_s = run.settings.migration.timeout_ms / 1000
        run.found.audits.append(await run.effects.audit(timeout_s))

    async def gate(self, run: Context) -> str:
        """All equal, and every source reads from the tables."""
        for source, sample in self._samples.items():
            if sample.mismatches:
                raise GateClosed(
                    f"source {source!r} reads other values from the tables: {sample.mismatches[0]}",
                    where=f"source {source}",
                    remedy="reads go back to memory; `memferry audit` compares every row",
                )
        late = set(run.found.sources) - followers(run.conn, run.projection)
        if late and not run.effects.dry:
            raise GateClosed(
                f"these sources do not follow the new route: {', '.join(sorted(late))}",
                where="memferry.route_source",
                remedy="reads go back to memory; look at their control connection",
            )
        return require_equal(run.found.audits[-1])

    async def undo(self, run: Context) -> None:
        """Nothing was changed here; the phase before goes back."""


def require_switched(run: Context) -> None:
    """Check that reads are in PostgreSQL still; raises GateClosed.

    Between a run that died and the one that took over, reads may have gone back to memory.
    """
    if not run.effects.dry and run.route() != "postgres":
        raise GateClosed(
            "reads are in memory again: they went back before the migration came to its end",
            where="memferry.route",
            remedy="run it again: a new migration begins with the first phase",
        )
