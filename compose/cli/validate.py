"""`memferry validate`: counts, keys and digests of memory, log and tables."""

from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.project import tune_interpreter
from projector.migration.interface import ZeroDowntimeMigration

_SHOWN = 10


def validate(
    *,
    without_memory: Annotated[bool, Parameter(negative=())] = False,
    timeout_s: float = 60.0,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Compare how many rows memory, log and tables have, which, and what is in them.

    Exits with 1 where they differ. Everything goes on meanwhile.

    Parameters
    ----------
    without_memory
        Compare the log with the tables only: for an app that does not run.
    timeout_s
        How long to wait for the app's answer and for the projector to reach its barrier.
    """
    settings, domain = common.load()
    tune_interpreter()
    migration = ZeroDowntimeMigration(settings, domain)
    found = migration.validate(with_memory=not without_memory, timeout_s=timeout_s)
    if common.json:
        print_json({"passed": found.passed, "validation": found})
        return 0 if found.passed else 1
    table = grid("TABLE", "in log", "in table", "in memory", "COUNTS", "KEYS", "DIGESTS")
    for one in found.tables:
        memory = "not asked" if one.memory_rows is None else f"{one.memory_rows:,}"
        marks = [_mark(passed) for passed in (one.counts, one.keys, one.digests)]
        table.add_row(one.table, f"{one.log_rows:,}", f"{one.table_rows:,}", memory, *marks)
    out.print(table)
    out.print(f"position {found.position}", soft_wrap=True)
    for finding in found.findings[:_SHOWN]:
        out.print(f"  {finding}", markup=False, soft_wrap=True)
    if len(found.findings) > _SHOWN:
        err.print(f"and {len(found.findings) - _SHOWN:,} more; --json lists them all")
    for parked in found.parked[:_SHOWN]:
        out.print(f"  {parked}", markup=False, soft_wrap=True)
    if found.parked:
        out.print(f"{len(found.parked):,} streams wait: see `memferry parked list`")
    return 0 if found.passed else 1


def _mark(passed: bool) -> str:
    return "[green]equal[/]" if passed else "[bold red]DIFFER[/]"
