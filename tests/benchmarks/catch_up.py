"""From a full topic into committed rows, beside staged COPY + upsert of the same events' rows.

The projector and its limit take turns, each into tables made anew; the medians are compared.
"""

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg import sql

from compose.stack import ephemeral_stack
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.bare_process import Bare
from tests.benchmarks.projector_process import Figures, Wanted
from tests.benchmarks.result import Result, result
from tests.benchmarks.staged import Batch, batches_of, raw_staged
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import mixed_events, settings_for, trade_events

EVENTS = int(os.environ.get("BENCH_EVENTS", "500000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_WORKERS = 2
Events = Callable[[int], Iterator[msgspec.Struct]]


def one_partition() -> list[Result]:
    """Events a second of one projector, one partition, trades."""
    return [_caught_up("catch_up_events_per_s", 1, trade_events)]


def four_partitions() -> list[Result]:
    """Events a second of one process with two workers, four partitions, trades."""
    return [_caught_up("catch_up_4_partitions_events_per_s", 4, trade_events, _WORKERS)]


def mixed() -> list[Result]:
    """Events a second of one projector, one partition, all five kinds mixed."""
    return [_caught_up("mixed_events_per_s", 1, mixed_events)]


def in_process(module: str, given: Any, given_back: Any) -> Any:
    """Run a module of the benchmarks in a process of its own; return what it says it measured."""
    finished = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}"],
        input=msgspec.json.encode(given), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return msgspec.json.decode(finished.stdout, type=given_back)


def projected(
    settings: Settings, number: int, *, live: bool = False, mark_every: int = 0
) -> tuple[Figures, str]:
    """Apply a whole topic to a projection made anew; return its figures and its name."""
    name = f"{settings.topic}_{number}"
    wanted = Wanted(replace(settings, projection=name), live, mark_every)
    return in_process("projector_process", wanted, Figures), name


def forgotten(dsn: str, schema: str) -> None:
    """Drop a projection's tables: the next round finds the database as this one found it."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


def stages_of(figures: Figures) -> str:
    """Return the seconds of each step as text."""
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in figures.stages.items())
    return f"seconds, of loop and applying threads side by side: {stages}"


def rate_of(figures: Figures) -> float:
    """Return events/s between a run's first commit and its last: its start is told apart."""
    if figures.batches < 2:
        return figures.events / figures.seconds
    return (figures.events - figures.first_events) / (figures.seconds - figures.first_s)


def _caught_up(name: str, partitions: int, events: Events, workers: int = 1) -> Result:
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, partitions)
        settings = replace(settings, projector=replace(settings.projector, max_concurrency=workers))
        twice = fill_topic(settings, events(EVENTS))
        batches = list(batches_of(DOMAIN, events(EVENTS), settings.projector.batch_events))
        rounds, limits = _in_turns(settings, batches, workers)
        for figures in rounds:
            assert figures.events == EVENTS
            assert figures.duplicates == twice
        alone = in_process("bare_process", settings, Bare)
    chosen = sorted(rounds, key=rate_of)[len(rounds) // 2]
    note = (
        f"{EVENTS:,} events, {twice:,} of them twice in the topic; median of "
        f"{len(rounds)} rounds {_range(map(rate_of, rounds))}, limit {_range(limits)}: staged COPY "
        f"+ upsert of the same events' rows, folded and formatted beforehand, batches of "
        f"{settings.projector.batch_events:,}, {workers} writing; "
        f"{len(batches)} batches, the projector's {chosen.batches}; "
        f"measured between first commit and last, {chosen.first_s:.2f} to {chosen.seconds:.2f} s "
        f"after the start; "
        f"{chosen.cpu_s / chosen.events * 1e6:.2f} us of its processor an event; "
        f"{stages_of(chosen)}; alone: aiokafka's fetch {alone.fetch:,.0f}/s, msgspec's decoding "
        f"{alone.decode:,.0f}/s"
    )
    limit = statistics.median(limits)
    rss_mb = max(figures.rss_mb for figures in rounds)
    return result(name, rate_of(chosen), "1/s", limit, rss_mb, note)


def _in_turns(
    settings: Settings, batches: list[Batch], workers: int
) -> tuple[list[Figures], list[float]]:
    rounds, limits = [], []
    for number in range(ROUNDS):
        figures, schema = projected(settings, number, live=workers > 1)
        rounds.append(figures)
        limits.append(raw_staged(settings.postgres.dsn, schema, DOMAIN, batches, workers))
        forgotten(settings.postgres.dsn, schema)
    return rounds, limits


def _range(values: Any) -> str:
    measured = sorted(values)
    return f"({measured[0]:,.0f} to {measured[-1]:,.0f})"
