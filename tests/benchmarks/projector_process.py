"""A projector in a process of its own: what it is to do on standard input, figures on output."""

import asyncio
import sys
import time
from typing import NamedTuple

import msgspec

from compose.cli.project import tune_interpreter
from projector.log import Log
from projector.progress import Progress
from projector.runner import Projector
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import peak_rss_mb, rss_mb


class Wanted(msgspec.Struct):
    """A projection to bring to the topic's present end."""

    settings: Settings
    live: bool = False
    """As a member of the consumer group, with `max_concurrency` workers, stopped at the end; else
    one worker, as `memferry project --until-end` has."""
    mark_every: int = 0
    """Note time and memory after each so many events; 0: never."""


class Mark(NamedTuple):
    """How many events were applied by when, and the memory then: now, not at most."""

    events: int
    seconds: float
    rss_mb: float


class Figures(msgspec.Struct):
    """What a projector did. Units: seconds by the clock from its start to its last commit."""

    events: int
    duplicates: int
    batches: int
    seconds: float
    first_s: float
    """Until the first commit: connecting, the claim, making tables are in it."""
    first_events: int
    """That were applied then."""
    cpu_s: float
    """Of all threads."""
    rss_mb: float
    stages: dict[str, float]
    marks: list[Mark] = []


async def caught_up(wanted: Wanted) -> Figures:
    """Run a projector to the topic's end.

    Raises: RuntimeError where a partition stopped or an event was parked.
    """
    settings = wanted.settings
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        until = {partition: end for partition, (_, end) in (await log.bounds()).items()}
    commits: list[tuple[float, int]] = []
    marks: list[Mark] = []

    def on_progress(progress: Progress) -> None:
        commits.append((time.perf_counter(), progress.applied))
        if wanted.mark_every and progress.applied // wanted.mark_every > len(marks):
            marks.append(Mark(progress.applied, time.perf_counter() - started, rss_mb()))
        at = progress.partitions
        if wanted.live and all(p in at and at[p].next_offset >= end for p, end in until.items()):
            projector.stop()

    projector = Projector(
        settings, DOMAIN, until=None if wanted.live else until, on_progress=on_progress
    )
    cpu, started = time.process_time(), time.perf_counter()
    progress = await projector.run()
    if progress.stopped or progress.parked:
        raise RuntimeError(f"stopped: {progress.stopped}, parked: {progress.parked}")
    (first, events), (last, _) = commits[0], commits[-1]
    return Figures(
        progress.applied, progress.duplicates, progress.batches, last - started, first - started,
        events, time.process_time() - cpu, peak_rss_mb(),
        msgspec.structs.asdict(progress.stages), marks,
    )  # fmt: skip


if __name__ == "__main__":
    tune_interpreter()
    figures = asyncio.run(caught_up(msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
