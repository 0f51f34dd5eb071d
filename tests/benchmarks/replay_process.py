"""A rebuild in processes of its own: what it is to do on standard input, figures on output."""

import asyncio
import sys
import time

import msgspec
import psutil

from projector.control_tables import connect
from projector.log import Log
from projector.progress import Progress
from projector.replay.beside import make
from projector.replay.rebuild import finish, rebuild
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import peak_rss_mb


class Wanted(msgspec.Struct):
    """Tables to be made beside a projection's, from the whole topic."""

    settings: Settings
    processes: int | None = None


class Figures(msgspec.Struct):
    """What a rebuild did. Units: seconds by the clock."""

    name: str
    """Of the tables beside."""
    events: int
    duplicates: int
    batches: int
    seconds: float
    """From the call to its return: starting processes, connections and claims are in it."""
    finish_s: float
    """Of indexes and statistics, behind it."""
    cpu_s: float
    """Of the rebuild's processes; PostgreSQL's and Kafka's are not in it."""
    rss_mb: float
    """The peaks of its processes added up; what they share is counted in each."""
    stages: dict[str, float]


async def rebuilt(wanted: Wanted) -> Figures:
    """Make tables beside, rebuild them to the topic's end, and finish them."""
    settings = wanted.settings
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        until = {partition: end for partition, (_, end) in (await log.bounds()).items()}
    workers: dict[int, tuple[float, float]] = {}

    def on_progress(_: Progress) -> None:
        for worker in psutil.Process().children():
            try:
                spent = worker.cpu_times()
                workers[worker.pid] = (spent.user + spent.system, peak_rss_mb(worker.pid))
            except (psutil.Error, OSError, StopIteration):
                continue  # it has just ended

    with connect(settings, "benchmark") as conn:
        name = make(conn, settings.projection, DOMAIN, "shadow")
        cpu, started = time.process_time(), time.perf_counter()
        progress = await rebuild(
            settings, DOMAIN, name, until, on_progress=on_progress, processes=wanted.processes
        )
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        started = time.perf_counter()
        finish(conn, name, DOMAIN)
        finish_s = time.perf_counter() - started
    assert not progress.parked
    return Figures(
        name, progress.applied, progress.duplicates, progress.batches, seconds, finish_s,
        cpu + sum(spent for spent, _ in workers.values()),
        peak_rss_mb() + sum(peak for _, peak in workers.values()),
        msgspec.structs.asdict(progress.stages),
    )  # fmt: skip


if __name__ == "__main__":
    figures = asyncio.run(rebuilt(msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
