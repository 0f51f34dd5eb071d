"""VALIDATION: memory, log and tables hold the same, row by row."""

from projector.audit.run import AuditResult
from projector.audit.validation import validate
from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase


class Validation(Phase):
    """Compares counts, keys and digests while everything goes on."""

    name = "VALIDATION"

    async def enter(self, run: Context) -> None:
        """Nothing to prepare."""

    async def work(self, run: Context) -> None:
        """Compare."""
        run.tell(waits_for="the comparison of memory, log and tables")
        timeout_s = run.settings.migration.timeout_ms / 1000
        run.found.audits.append(await run.effects.audit(timeout_s))

    async def gate(self, run: Context) -> str:
        """All equal."""
        return require_equal(run.found.audits[-1])

    async def undo(self, run: Context) -> None:
        """Nothing was changed."""


def require_equal(result: AuditResult) -> str:
    """Return in a few words how much is equal; raises GateClosed naming the first difference."""
    found = validate(result)
    if found.parked:
        raise GateClosed(
            f"{len(found.parked):,} streams wait behind parked events: {found.parked[0]}",
            where=f"position {result.position}",
            remedy="`memferry parked list` says why; mend it, then `memferry parked retry --all`",
        )
    if not found.passed:
        worst = [table.table for table in found.tables if not table.passed]
        first = str(result.findings[0]) if result.findings else "no row of it is named"
        raise GateClosed(
            f"{len(result.findings)} rows differ, in {', '.join(worst)}: {first}",
            where=f"position {result.position}",
            remedy="`memferry audit` names every row; mend it, then run it again",
        )
    rows = sum(table.log_rows for table in found.tables)
    return f"{rows:,} rows in {len(found.tables)} tables: counts, keys and digests equal"
