"""A projector in a process of its own: settings as JSON on standard input, figures on output."""

import asyncio
import json
import sys
import time

import msgspec

from compose.cli.project import tune_interpreter
from projector.log import Log
from projector.runner import Projector
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.trading import DOMAIN
from tests.benchmarks.result import peak_rss_mb
from tests.benchmarks.workload import settings_for


async def _run() -> dict[str, float]:
    given = json.load(sys.stdin)
    settings = settings_for(
        given["name"], given["kafka"], given["dsn"], given["directory"], given["partitions"]
    )
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        until = {partition: end for partition, (_, end) in (await log.bounds()).items()}
    started = time.perf_counter()
    progress = await Projector(settings, DOMAIN, until=until).run()
    seconds = time.perf_counter() - started
    if progress.stopped:
        raise RuntimeError(f"stopped: {progress.stopped}")
    stages = {f"{name}_s": spent for name, spent in msgspec.structs.asdict(progress.stages).items()}
    return {"events": progress.applied, "seconds": seconds, "rss_mb": peak_rss_mb(), **stages}


if __name__ == "__main__":
    tune_interpreter()
    print(json.dumps(asyncio.run(_run())))
