"""`memferry audit`: memory, the fold of the log, and the tables, compared at one position."""

import asyncio

from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.project import tune_interpreter
from projector.audit.run import AuditResult
from projector.audit.run import audit as run_audit

_SHOWN = 10


def audit(
    *,
    without_memory: bool = False,
    timeout_s: float = 60.0,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Compare memory, log and tables row by row; exit with 1 where they differ.

    Everything goes on meanwhile: the app puts a barrier in the log and says what its memory held
    there; the tables are read in one snapshot.

    Parameters
    ----------
    without_memory
        Compare the log with the tables only: for an app that does not run.
    timeout_s
        How long to wait for the app's answer and for the projector to reach the barrier.
    """
    settings, domain = common.load()
    tune_interpreter()
    result = asyncio.run(
        run_audit(settings, domain, with_memory=not without_memory, timeout_s=timeout_s)
    )
    if common.json:
        print_json({**_as_dict(result), "all_equal": result.all_equal})
    else:
        _show(result)
    return 0 if result.all_equal else 1


def _as_dict(result: AuditResult) -> dict[str, object]:
    return {name: getattr(result, name) for name in result.__struct_fields__}


def _show(result: AuditResult) -> None:
    table = grid("TABLE", "rows", "in memory", "EQUAL")
    unexplained = {finding.table for finding in result.findings if not finding.parked}
    for name, equal in result.equal.items():
        memory = f"{result.memory_rows.get(name, 0):,}" if result.memory_compared else "not asked"
        known = "[yellow]parked[/]" if name not in unexplained else "[bold red]NO[/]"
        verdict = "[green]yes[/]" if equal else known
        table.add_row(name, f"{result.rows[name]:,}", memory, verdict)
    out.print(table)
    out.print(
        f"position {result.position}, {result.events:,} events folded in {result.seconds:.1f} s"
    )
    for finding in result.findings[:_SHOWN]:
        out.print(Text.assemble((finding.problem, "red"), f" {finding}"), soft_wrap=True)
    if len(result.findings) > _SHOWN:
        err.print(f"and {len(result.findings) - _SHOWN:,} more; --json lists them all")
    for kind, parts in result.changed.items():
        what = f" kind {kind}: other code than made the rows ({', '.join(parts)})"
        out.print(Text.assemble(("changed", "yellow"), what), soft_wrap=True)
    for parked in result.parked[:_SHOWN]:
        what = f" stream {parked.stream}, {parked.events:,} events: {parked.reason}"
        out.print(Text.assemble(("parked", "yellow"), what), soft_wrap=True)
    if result.parked:
        out.print(
            f"{len(result.parked):,} streams wait behind a parked event: `memferry parked list` "
            "says why; mend it, then `memferry parked retry --all`, and audit again"
        )
