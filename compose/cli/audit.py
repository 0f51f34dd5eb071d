"""`memferry audit`: memory, the fold of the log, and the tables, compared at one position."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from compose.cli.audit_bisect import bisect
from compose.cli.audit_history import history
from compose.cli.audit_job import audit_continuously, end_by_signal
from compose.cli.context import Common
from compose.cli.output import print_json
from compose.cli.project import tune_interpreter
from compose.report import html, junit, terminal
from projector.audit.job import Made, make
from projector.audit.report import Report
from projector.audit.scope import Scope
from projector.audit.work import AuditWork
from projector.control_tables import connect, read_projection
from projector.schedule import schedule_of
from schemas.domain import Domain
from schemas.errors import SettingsInvalid
from schemas.position import parse_offsets
from schemas.settings import Settings

app = App(name="audit")
app.command(bisect)
app.command(history)
_Flag = Annotated[bool, Parameter(negative=())]


@app.default
def audit(
    *,
    without_memory: _Flag = False,
    tables: str | None = None,
    position: str | None = None,
    full: _Flag = False,
    timeout_s: float = 60.0,
    continuous: _Flag = False,
    every: str | None = None,
    cron: str | None = None,
    count: int | None = None,
    metrics_port: int | None = None,
    html_file: Annotated[Path | None, Parameter(name="--html")] = None,
    junit_file: Annotated[Path | None, Parameter(name="--junit")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Compare memory, log and tables row by row; exit with 1 where they differ.

    Everything goes on meanwhile: the app puts a barrier in the log and says what its memory held
    there; the tables are read in one snapshot. --every, --cron, --count and --metrics-port mean
    --continuous.

    Parameters
    ----------
    without_memory
        Compare the log with the tables only: for an app that does not run.
    tables
        Names of the tables to compare, separated by commas; without it, all.
    position
        Where the tables must be, or come to: 0:120,1:98 (one number for one partition).
    full
        Fold the log from its beginning, and read every row a second time, another way.
    timeout_s
        How long to wait for the app's answer and for the projector to reach the barrier.
    continuous
        Go on: audit by `audit.every_s` or `audit.cron` until told to end, a line for each.
    every
        Time from the end of one audit to the next: 90s, 10m, 2h.
    cron
        Times to audit at, in UTC: "*/15 * * * *".
    count
        End after so many audits.
    metrics_port
        Serve Prometheus metrics at this port of 127.0.0.1; 0: none.
    html_file
        Write the report to this file as one page of HTML.
    junit_file
        Write the report to this file as JUnit XML.
    """
    schedule = schedule_of(common.settings().audit, every, cron)
    if timeout_s <= 0:
        raise SettingsInvalid(
            f"{timeout_s:g} s is no time to wait", where="--timeout-s", remedy="give more than 0"
        )
    if count is not None and count < 1:
        raise SettingsInvalid("no audit would be made", where="--count", remedy="give 1 or more")
    settings, hand_written = common.load_hand_written()
    names = tuple(name.strip() for name in tables.split(",")) if tables else ()
    offsets = None if position is None else _offsets(settings, hand_written, position)
    scope = Scope(not without_memory, True, names, offsets, full, timeout_s)
    if names:  # a name that is misspelt is told before a job begins
        scope.tables_of(common.load()[1])
    work = AuditWork(settings, hand_written, scope)
    tune_interpreter()

    def write(report: Report) -> None:
        if html_file is not None:
            html.write(report, html_file)
        if junit_file is not None:
            junit.write(report, junit_file)

    if continuous or any(given is not None for given in (every, cron, count, metrics_port)):
        return audit_continuously(
            settings,
            work,
            schedule,
            count=count,
            metrics_port=metrics_port or 0,
            write=write,
            as_json=common.json,
        )
    made = asyncio.run(_once(settings, work))
    if made is None:
        return 130
    if made.error is not None:
        raise made.error
    report, result = made.alert.report, work.result
    if report is None or result is None:
        raise RuntimeError("an audit without an error has a report")
    write(report)
    if common.json:
        facts = {"all_equal": result.all_equal, "report": report}
        print_json({**msgspec.structs.asdict(result), **facts})
    else:
        terminal.show(report)
    return 0 if report.passed else 1


def _offsets(settings: Settings, hand_written: Domain, position: str) -> dict[int, int]:
    with connect(settings, "audit") as conn:
        found = read_projection(conn, settings.projection or hand_written.name)
    return parse_offsets(position, found.partitions)


async def _once(settings: Settings, work: AuditWork) -> Made | None:
    making = asyncio.create_task(make(settings, work.projection, work))
    end_by_signal(making.cancel)
    try:
        return await making
    except asyncio.CancelledError:
        return None
