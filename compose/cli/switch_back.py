"""`memferry switch-back`: reads return to memory."""

from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import out, print_json
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from projector.migration.interface import ZeroDowntimeMigration


def switch_back(
    *,
    without_audit: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Return reads from PostgreSQL to memory, which has every write since the cutover.

    Memory is compared with the log first; no projector is needed.

    Parameters
    ----------
    without_audit
        Do not compare: for when the log cannot be read, or minutes count.
    """
    settings, domain = common.load()
    tune_interpreter()
    with StatusLine() as line:
        migration = ZeroDowntimeMigration(settings, domain, line.of_migration)
        result = migration.switch_back(without_audit=without_audit)
    if common.json:
        print_json(result)
    else:
        out.print(
            f"reads go to {result.route} since epoch {result.epoch}; no writer stood still for "
            f"more than {result.pause_ms:.1f} ms",
            soft_wrap=True,
        )
    return 0
