"""`memferry upgrade`: files and tables of an earlier memferry, moved to this one's format."""

from typing import Annotated

import psycopg
from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import out, print_json
from eventlog.outbox.upgrade import upgrade as upgrade_outbox
from projector.control_tables import connect
from schemas.control_format import CONTROL_FORMAT, require_format
from schemas.settings import Settings


def upgrade(
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Move this machine's outbox to the present format; look at the control tables' format.

    Stop the app first: a file that is written is not touched. There is no way back, so copy the
    file where an earlier memferry may be needed again.

    Parameters
    ----------
    dry_run
        Say what would be done, and change nothing.
    """
    settings = common.settings()
    outbox = tables = None
    if settings.outbox.kind == "sqlite" and settings.outbox_path.exists():
        outbox = upgrade_outbox(settings.outbox_path, dry_run=dry_run)
    if settings.postgres.dsn:
        tables = _tables_format(settings)
    if common.json:
        print_json(
            {
                "dry_run": dry_run,
                "outbox": outbox._asdict() if outbox else None,
                "control_tables": {"found": tables, "format": CONTROL_FORMAT} if tables else None,
            }
        )
        return 0
    if outbox is None:
        out.print(f"outbox: there is no file {settings.outbox_path}", soft_wrap=True)
    elif outbox.found == outbox.format:
        out.print(f"outbox: format {outbox.format}, nothing to do")
    else:
        done = "would be moved" if dry_run else "moved"
        out.print(f"outbox: {done} from format {outbox.found} to format {outbox.format}")
    if tables is not None:
        out.print(f"control tables: format {tables}, nothing to do")
    return 0


def _tables_format(settings: Settings) -> int | None:
    """Return the control tables' format, None where there are none; raises FormatMismatch."""
    with connect(settings, "upgrade") as conn:
        try:
            row = conn.execute("SELECT version FROM memferry.format").fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    version = int(row[0]) if row else CONTROL_FORMAT
    require_format(version)
    return version
