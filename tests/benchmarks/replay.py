"""Replay of a whole topic of all five kinds into fresh tables, beside staged COPY + upsert.

The rebuild and its limit take turns, each into tables made anew; the medians are compared.
"""

import asyncio
import os
import secrets
import statistics
import tempfile

from compose.stack import ephemeral_stack
from projector.control_tables import connect, establish
from projector.control_topic import read_control
from projector.replay.beside import drop
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.catch_up import in_process
from tests.benchmarks.replay_process import Figures, Wanted
from tests.benchmarks.result import Result, result
from tests.benchmarks.staged import batches_of, raw_staged
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import TENTH_UPDATES, mixed_events, settings_for

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_PARTITIONS = 4
_WRITERS = 2


def fresh_tables() -> list[Result]:
    """Events a second of a rebuild, from its call to its return, on all cores."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, endpoints.postgres, directory, _PARTITIONS)
        twice = fill_topic(settings, mixed_events(EVENTS, TENTH_UPDATES))
        asyncio.run(_established(settings))
        size = settings.projector.batch_events
        batches = list(batches_of(DOMAIN, mixed_events(EVENTS, TENTH_UPDATES), size))
        rounds, limits = [], []
        for _ in range(ROUNDS):
            figures: Figures = in_process("replay_process", Wanted(settings), Figures)
            assert (figures.events, figures.duplicates) == (EVENTS, twice)
            rounds.append(figures)
            limits.append(
                raw_staged(settings.postgres.dsn, figures.name, DOMAIN, batches, _WRITERS)
            )
            with connect(settings, "benchmark") as conn:
                drop(conn, figures.name)
    chosen = sorted(rounds, key=lambda one: one.seconds)[len(rounds) // 2]
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in chosen.stages.items())
    note = (
        f"{EVENTS:,} events, {twice:,} of them twice in the topic, {_PARTITIONS} partitions; "
        f"median of {len(rounds)} rounds ({', '.join(f'{r.seconds:.2f} s' for r in rounds)}), "
        f"limits {', '.join(f'{limit:,.0f}' for limit in limits)}: staged COPY + upsert of "
        f"the same rows, folded and formatted beforehand, batches of {size:,}, {_WRITERS} writing; "
        f"indexes and statistics behind it {chosen.finish_s:.2f} s; {chosen.batches} commits; "
        f"{chosen.cpu_s / EVENTS * 1e6:.2f} us of its processors an event; seconds of loop and "
        f"applying threads of all processes side by side: {stages}"
    )
    rss_mb = max(figures.rss_mb for figures in rounds)
    limit = statistics.median(limits)
    return [result("replay_events_per_s", EVENTS / chosen.seconds, "1/s", limit, rss_mb, note)]


async def _established(settings: Settings) -> None:
    with connect(settings, "benchmark") as conn:
        establish(conn, settings, DOMAIN, _PARTITIONS)
        await read_control(conn, settings)
