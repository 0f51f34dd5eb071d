"""VALIDATION: memory, log and tables hold the same, row by row, and it is sound on five levels."""

from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.audit.score import score_text
from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase


class Validation(Phase):
    """Compares, then looks at the tables' content, while everything goes on."""

    name = "VALIDATION"

    async def enter(self, run: Context) -> None:
        """Nothing to prepare."""

    async def work(self, run: Context) -> None:
        """Compare, then validate."""
        run.tell(waits_for="the comparison of memory, log and tables")
        timeout_s = run.settings.migration.timeout_ms / 1000
        run.found.audits.append(await run.effects.audit(timeout_s))
        if run.found.audits[-1].all_equal:
            run.tell(waits_for="the five levels of validation")
            run.found.validation = await run.effects.validate(timeout_s)

    async def gate(self, run: Context) -> str:
        """All equal, and sound."""
        equal = require_equal(run.found.audits[-1])
        return f"{equal}; {require_sound(run.found.validation)}"

    async def undo(self, run: Context) -> None:
        """Nothing was changed."""


def require_equal(result: AuditResult) -> str:
    """Return in a few words how much is equal; raises GateClosed naming the first difference."""
    if result.parked:
        first = result.parked[0]
        raise GateClosed(
            f"{len(result.parked):,} streams wait behind parked events: stream {first.stream} is "
            f"parked: {first.reason}",
            where=f"position {result.position}",
            remedy="`memferry parked list` says why; mend it, then `memferry parked retry --all`",
        )
    if not result.all_equal:
        worst = [table for table, equal in result.equal.items() if not equal]
        rows = len(result.findings) + result.unnamed
        first_said = str(result.findings[0]) if result.findings else "no row of it is named"
        raise GateClosed(
            f"{rows:,} rows differ, in {', '.join(worst) or 'no one table'}: {first_said}",
            where=f"position {result.position}",
            remedy="`memferry audit` names every row; mend it, then run it again",
        )
    rows = sum(result.rows.values())
    where = "memory, log and tables" if result.memory_compared else "log and tables"
    return f"{rows:,} rows in {len(result.equal)} tables are equal in {where}"


def require_sound(report: Report | None) -> str:
    """Return the score in a few words; raises GateClosed naming what is worst.

    None: a run that was taken over validated before.
    """
    if report is None or report.score is None:
        return "the levels were not looked at"
    score = report.score
    shown = score_text(score.total)
    if report.passed:
        return f"quality {shown} of 100"
    worst = next((f for f in report.findings if f.veto), None) or next(iter(report.findings), None)
    why = score.vetoes[0] if score.vetoes else f"quality is {shown}, below {score.threshold:g}"
    named = "" if worst is None else f": {worst.what} ({worst.where}, {', '.join(worst.rows[:3])})"
    raise GateClosed(
        f"{why}{named}",
        where=f"the five levels at position {report.position}",
        remedy="`memferry validate --source tables` shows all of it; mend it, or set "
        "`audit.threshold`, and run it again",
    )
