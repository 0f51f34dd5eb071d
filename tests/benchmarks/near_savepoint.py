"""A rollback by a few events from a long log, with a savepoint near that keeps tables."""

import asyncio
import os
import secrets
import tempfile

from compose.stack import ephemeral_stack
from projector.control_tables import connect, establish
from projector.control_topic import read_control
from projector.log import Log
from projector.replay.look_back import look_back
from projector.replay.replaying import replay
from projector.replay.savepoints import take
from projector.replay.target import Target
from projector.runner import Projector
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, peak_rss_mb, result
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import TENTH_UPDATES, mixed_events, settings_for

FIGURES = ("rollback_near_savepoint_s",)
EVENTS = int(os.environ.get("BENCH_EVENTS", "5000000"))
BACK = 10_000
_PARTITIONS = 4


def rolled_back() -> list[Result]:
    """Seconds of a rollback by 10,000 events, from its call to its return."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, endpoints.postgres, directory, _PARTITIONS)
        fill_topic(settings, mixed_events(EVENTS, TENTH_UPDATES))
        seconds, pause_ms, taken_s = asyncio.run(_measured(settings))
    note = (
        f"{EVENTS:,} events, back by {BACK:,}; the savepoint that kept its tables another "
        f"{BACK:,} before; readers {pause_ms:.0f} ms at the swap; the copy took {taken_s:.1f} s"
    )
    return [result(FIGURES[0], seconds, "s", None, peak_rss_mb(), note)]


async def _measured(settings: Settings) -> tuple[float, float, float]:
    with connect(settings, "benchmark") as conn:
        establish(conn, settings, DOMAIN, _PARTITIONS)
        await read_control(conn, settings)
        async with Log(settings, kafka_topic(settings.topic, 1)) as log:
            end = {p: last for p, (_, last) in (await log.bounds()).items()}
        there = {p: last - BACK // _PARTITIONS for p, last in end.items()}
        before = {p: last - BACK // _PARTITIONS for p, last in there.items()}
        await replay(settings, DOMAIN, Target(offset=format_offsets(before)), way="in_place")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await take(conn, settings, settings.projection, "near", keep=DOMAIN)
        taken_s = loop.time() - began
        conn.execute(
            "UPDATE memferry.projection SET state = 'live' WHERE name = %s", (settings.projection,)
        )
    await Projector(settings, DOMAIN, until=end).run()
    done = await look_back(settings, DOMAIN, Target(offset=format_offsets(there)))
    return done.seconds, done.pause_ms, taken_s
