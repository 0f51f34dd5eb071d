"""Where an event's microseconds go while a projector catches up, step by step, nothing overlapping.

python -m tests.benchmarks.catch_up_profile [EVENTS] [mixed] [functions]

The steps are those of projector/stages.py, in one thread one after the other: what one of them
costs is not hidden behind another one's waiting. The processor's part of a step is what it takes
from the interpreter; the rest is waiting for Kafka or PostgreSQL. `functions` prints in which
functions decoding and applying spend it; the profiler itself slows them.
"""

import asyncio
import cProfile
import pstats
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import msgspec

from compose.cli.project import tune_interpreter
from compose.stack import ephemeral_stack
from projector.apply import Applier
from projector.batch import Handler
from projector.checkpoint import claim
from projector.control_tables import connect, establish
from projector.control_topic import read_control
from projector.lanes import LaneBook
from projector.log import Log
from projector.stages import Stages
from projector.transaction import Transactions
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.catch_up import Events
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import mixed_events, settings_for, trade_events

_TOP = 18


class Spent(msgspec.Struct):
    """Seconds of one step: by the clock, and of the processor."""

    clock: float = 0.0
    cpu: float = 0.0

    def during(self, work: Callable[..., Any], *values: Any) -> Any:
        """Return what `work` returns, its time added."""
        clock, cpu = time.perf_counter(), time.process_time()
        done = work(*values)
        self.clock += time.perf_counter() - clock
        self.cpu += time.process_time() - cpu
        return done


class Profile(msgspec.Struct):
    """What a sequential run took; `stages` divides the clock of `apply`."""

    events: int = 0
    fetch: Spent = msgspec.field(default_factory=Spent)
    decode: Spent = msgspec.field(default_factory=Spent)
    apply: Spent = msgspec.field(default_factory=Spent)
    stages: Stages = msgspec.field(default_factory=Stages)


async def profiled(settings: Settings, decoding: Any = None, applying: Any = None) -> Profile:
    """Apply a topic to its end, one step after the other, under profilers where they are given."""
    profile = Profile()
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        until = {partition: end for partition, (_, end) in (await log.bounds()).items()}
        conn = connect(settings, "benchmark")
        projection = establish(conn, settings, DOMAIN, log.partitions)
        sources = await read_control(conn, settings)
        held = claim(conn, projection, "live", range(log.partitions))
        await log.start_at(held.offsets)
        handler = Handler(DOMAIN, LaneBook(projection.generation, held.lanes, sources))
        applier = Applier(conn, projection.name, DOMAIN.tables.values(), profile.stages)
        transactions = Transactions(conn, applier, DOMAIN, held, profile.stages)
        while any(held.offsets[p] < end for p, end in until.items()):
            clock, cpu = time.perf_counter(), time.process_time()
            found = await log.fetch(settings.projector.batch_events, 100)
            profile.fetch.clock += time.perf_counter() - clock
            profile.fetch.cpu += time.process_time() - cpu
            with _under(decoding):
                segments = [
                    profile.decode.during(handler.segment, p, held.offsets[p], records, until[p])
                    for p, records in found.items()
                ]
            with _under(applying):
                stops = profile.apply.during(transactions.apply, segments)
            assert not stops
        profile.events = transactions.applied
        conn.close()
    return profile


@contextmanager
def _under(profiler: Any) -> Any:
    if profiler is not None:
        profiler.enable()
    try:
        yield
    finally:
        if profiler is not None:
            profiler.disable()


def said(profile: Profile) -> str:
    """Return a profile as lines, in microseconds an event."""

    def line(name: str, clock: float, cpu: float | None = None) -> str:
        share = "" if cpu is None else f"{cpu / profile.events * 1e6:10.2f}"
        return f"{name:<22}{clock / profile.events * 1e6:8.2f}{share}"

    steps = {"fetch": profile.fetch, "decode": profile.decode, "apply": profile.apply}
    lines = [f"{'us an event':<22}{'clock':>8}{'processor':>10}"]
    for name, spent in steps.items():
        lines.append(line(name, spent.clock, spent.cpu))
    lines += [
        line(f"  apply: {name}", getattr(profile.stages, name))
        for name in ("fold", "copy", "upsert", "commit")
    ]
    clock = sum(spent.clock for spent in steps.values())
    cpu = sum(spent.cpu for spent in steps.values())
    lines.append(line("sum", clock, cpu))
    longer = max(clock - profile.apply.clock, profile.apply.clock)
    lines.append(
        f"{profile.events:,} events: {profile.events / clock:,.0f}/s one after the other, "
        f"{profile.events / longer:,.0f}/s at most where they overlap"
    )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Fill a topic, profile one run over it, print."""
    count = next((int(word) for word in arguments if word.isdigit()), 200_000)
    events: Events = mixed_events if "mixed" in arguments else trade_events
    both = (cProfile.Profile(), cProfile.Profile()) if "functions" in arguments else ()
    tune_interpreter()
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, 1)
        fill_topic(settings, events(count))
        profile = asyncio.run(profiled(settings, *both))
    print(said(profile))
    for name, profiler in zip(("decoding", "applying"), both, strict=False):
        print(f"\n{name}, by function")
        pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(_TOP)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
