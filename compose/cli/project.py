"""`memferry project`: the projector service."""

import asyncio
import gc
import signal
import sys

from compose.cli.context import Common
from compose.cli.output import err, print_error
from compose.cli.progress import StatusLine
from projector.log import Log
from projector.progress import Progress
from projector.runner import Projector
from schemas.position import FIRST_GENERATION, kafka_topic

_SWITCH_INTERVAL_S = 0.0005


def project(*, until_end: bool = False, common: Common = Common()) -> int:  # noqa: B008
    """Apply the log to the tables until stopped.

    Kill it at any moment: rows, lanes and checkpoint commit together, the next one goes on from
    the checkpoint. Exits with 1 where a partition stopped, and by itself once all have.

    Parameters
    ----------
    until_end
        Apply what the topic holds now, then exit.
    """
    settings, domain = common.load_hand_written()
    tune_interpreter()

    async def run() -> Progress:
        until = None
        if until_end:
            async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
                until = {p: end for p, (_, end) in (await log.bounds()).items()}
        with StatusLine() as line:
            show = line.of_projector(f"project {settings.projection or domain.name}")
            projector = Projector(settings, domain, until=until, on_progress=show)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, projector.stop)
            return await projector.run()

    progress = asyncio.run(run())
    err.print(f"applied {progress.applied:,} events, skipped {progress.duplicates:,} duplicates")
    for error in progress.stopped.values():
        print_error(error)
    return 1 if progress.stopped else 0


def tune_interpreter() -> None:
    """Let the thread that waits for PostgreSQL take over quickly, and collect garbage seldom."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
