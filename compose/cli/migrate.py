"""`memferry migrate`: a live app's reads from memory to PostgreSQL, in ten phases."""

from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from projector.migration.interface import StopAndCopyMigration, ZeroDowntimeMigration
from projector.migration.result import MigrationResult


def migrate(
    *,
    zero_downtime: Annotated[bool, Parameter(negative=())] = False,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Carry the reads of a running app from memory to PostgreSQL, or go on where a run was killed.

    Needs the app with the shim and `postgres.dsn`, and a running `memferry project`. Exits with 1
    where a gate was closed: everything is undone then, and the reason is said.

    Parameters
    ----------
    zero_downtime
        Writes go on throughout, but for a pause of milliseconds at the cutover. Without it (stop
        and copy) writes are held from the snapshot to the cutover.
    dry_run
        Say what a run would do and what it would find; leave nothing behind.
    """
    settings, domain = common.load()
    tune_interpreter()
    kind = ZeroDowntimeMigration if zero_downtime else StopAndCopyMigration
    with StatusLine() as line:
        migration = kind(settings, domain, line.of_migration)
        result = migration.dry_run() if dry_run else migration.run()
    if common.json:
        print_json(result)
    elif dry_run:
        for effect in result.effects:
            out.print(effect, markup=False, soft_wrap=True)
        out.print("nothing was changed")
    else:
        _show(result)
    if result.reason:
        err.print(Text.assemble(("closed", "bold red"), f" {result.reason}"), soft_wrap=True)
        err.print(Text.assemble("  ", ("next", "dim"), f"  {result.next_step}"), soft_wrap=True)
    return 0 if result.succeeded else 1


def _show(result: MigrationResult) -> None:
    table = grid("PHASE", "s", "OUTCOME", "FOUND")
    for phase in result.phases:
        colour = "green" if phase.outcome == "passed" else "red"
        table.add_row(
            phase.phase,
            f"{phase.seconds:.2f}",
            f"[{colour}]{phase.outcome}[/]",
            Text(phase.detail, overflow="fold"),
        )
    out.print(table)
    pause = result.cutover_pause_ms
    where = f"reads go to {result.route}"
    if pause is not None:
        where += f" since epoch {result.epoch}; no writer stood still for more than {pause:.1f} ms"
    out.print(f"{result.state}: {where}", soft_wrap=True)
