"""`memferry project`: the projector service."""

import asyncio
import gc
import signal
import sys
from contextlib import ExitStack

import msgspec

from compose.cli.context import Common
from compose.cli.output import err, print_error
from compose.cli.progress import StatusLine
from projector.control_tables import connect
from projector.fingerprint import accept_code as take_code
from projector.log import Log
from projector.metrics import metrics_served
from projector.progress import Progress
from projector.replay.savepoint_schedule import taken_by_schedule
from projector.runner import Projector
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings

_SWITCH_INTERVAL_S = 0.0005


def project(
    *,
    until_end: bool = False,
    metrics_port: int | None = None,
    accept_code: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Apply the log to the tables until stopped.

    Kill it at any moment: rows, lanes and checkpoint commit together, the next one goes on from
    the checkpoint. Exits with 1 where a partition stopped, by itself once all have; with
    --until-end also where events were parked.

    Parameters
    ----------
    until_end
        Apply what the topic holds now, then exit.
    metrics_port
        Serve Prometheus metrics at this port of 127.0.0.1; 0: none.
    accept_code
        Go on though handlers, upcasters or tables changed: you answer for it that they would make
        the rows that are there. It is noted in the audit trail.
    """
    settings, domain = common.load_hand_written()
    if accept_code:
        _accept(*common.load())
    if metrics_port is not None:
        settings = _with_metrics(settings, metrics_port)
    name = settings.projection or domain.name
    tune_interpreter()

    async def run() -> Progress:
        until = None
        if until_end:
            async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
                until = {p: end for p, (_, end) in (await log.bounds()).items()}
        with StatusLine() as line:
            show = line.of_projector(f"project {name}")
            projector = Projector(settings, domain, until=until, on_progress=show)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, projector.stop)
            with ExitStack() as stack:
                stack.enter_context(metrics_served(settings, name, lambda: projector.progress))
                if not until_end:
                    stack.enter_context(taken_by_schedule(settings, domain))
                return await projector.run()

    progress = asyncio.run(run())
    parked = f", parked {progress.parked:,}" if progress.parked else ""
    err.print(
        f"applied {progress.applied:,} events, skipped {progress.duplicates:,} duplicates{parked}"
    )
    for error in progress.stopped.values():
        print_error(error)
    return 1 if progress.stopped or (until_end and progress.parked) else 0


def _accept(settings: Settings, domain: Domain) -> None:
    conn = connect(settings, "project")
    try:
        if take_code(conn, settings.projection or domain.name, domain):
            err.print("the code of now is taken for the one that made the rows")
    finally:
        conn.close()


def _with_metrics(settings: Settings, port: int) -> Settings:
    projector = msgspec.structs.replace(settings.projector, metrics_port=port)
    return msgspec.structs.replace(settings, projector=projector)


def tune_interpreter() -> None:
    """Let the thread that waits for PostgreSQL take over quickly, and collect garbage seldom."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
