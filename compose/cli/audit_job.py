"""`memferry audit --continuous`: a line for each audit, until it is told to end."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

import msgspec
from rich.text import Text

from compose.cli.output import err, out, print_error
from compose.report.words import visible
from projector.audit.hook import Alert
from projector.audit.job import AuditJob
from projector.audit.metrics import AuditCollector
from projector.audit.report import Report
from projector.audit.work import AuditWork
from projector.metrics import collector_served
from projector.schedule import Schedule
from schemas.errors import FerryError
from schemas.settings import Settings

_GRACE_S = 3.0
_STYLES = {"clean": "green", "findings": "bold red", "error": "red"}


def audit_continuously(
    settings: Settings,
    work: AuditWork,
    schedule: Schedule,
    *,
    count: int | None,
    metrics_port: int,
    write: Callable[[Report], None],
    as_json: bool,
) -> int:
    """Audit by a schedule; return the exit code: 130 told to end, 1 findings, 2 errors, 0 clean."""

    def ended(alert: Alert) -> None:
        if alert.report is not None:
            try:
                write(alert.report)
            except FerryError as error:  # a full disk is no reason to look no more
                print_error(error)
        if as_json:
            sys.stdout.write(msgspec.json.encode(alert).decode() + "\n")
            sys.stdout.flush()
        else:
            out.print(line_of(alert), soft_wrap=True)

    async def run() -> int:
        job = AuditJob(
            settings, work.projection, schedule, work,
            count=count, on_ended=ended, told=lambda said: err.print(said, soft_wrap=True),
        )  # fmt: skip
        end_by_signal(job.stop)
        err.print(f"audits projection {work.projection} {schedule}", soft_wrap=True)
        with ExitStack() as stack:
            if metrics_port:
                collector = AuditCollector(work.projection, job.tally)
                stack.enter_context(collector_served(collector, metrics_port, "`--metrics-port`"))
            verdicts = await job.run()
        if job.stopped:
            return 130
        return 1 if verdicts["findings"] else 2 if verdicts["error"] else 0

    return asyncio.run(run())


def end_by_signal(stop: Callable[[], object]) -> None:
    """Have SIGINT and SIGTERM call `stop`, and end the process where that takes too long.

    A thread that waits for an app or a server cannot be told; nothing needs it: whatever it was at
    may be killed at any moment, and the next audit notes that this one was interrupted.
    """

    def end() -> None:
        stop()
        last = threading.Timer(_GRACE_S, os._exit, (130,))
        last.daemon = True
        last.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


def line_of(alert: Alert) -> Text:
    """Return one audit in one line."""
    line = Text(f"{alert.started_at:%Y-%m-%d %H:%M:%S} UTC  ")
    line.append(alert.verdict, _STYLES[alert.verdict])
    report = alert.report
    if report is None:
        return line.append(f"  {visible(alert.error.splitlines()[0])}")
    rows = sum(table.log_rows for table in report.tables)
    score = "" if report.score is None else f", score {report.score.total:.1f}"
    line.append(f"  {rows:,} rows at {report.position} in {alert.seconds:.1f} s{score}")
    if report.findings:
        first = report.findings[0]
        count = sum(finding.count for finding in report.findings)
        named = f": {', '.join(first.rows)}" if first.rows else ""
        text = f"{count:,} findings, the first: {first.where}: {first.what}{named}"
        line.append(f", {visible(text)}")
    return line
