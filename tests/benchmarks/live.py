"""From the durable receipt to the visible row, at a steady rate, everything running at once.

An app records (tests/benchmarks/live_app.py), `memferry project` applies, and this process sees:
over a connection of its own it listens, and at each notification reads how far the lanes are. The
rows are committed together with their lanes, so an event's rows are visible by the moment at which
that answer is here. So what is measured has the notification's way and one query in it, and errs to
the long side. All clocks are one: the machine's monotonic clock.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from msgspec.structs import replace

from compose.stack import ephemeral_stack
from eventlog.shim import attach
from eventlog.topic import ensure_topics
from schemas.settings import Settings
from tests.benchmarks.catch_up import in_process
from tests.benchmarks.live_app import Seen, Work
from tests.benchmarks.result import Result, peak_rss_mb, percentile, result
from tests.benchmarks.workload import settings_for

FIGURES = ("live_visible_p50_ms", "live_visible_p99_ms")
RATE = 5_000
SECONDS = int(os.environ.get("BENCH_LIVE_S", "20"))
_WARM_S = 2
"""At the begin, not counted: connections, first plans, an interpreter that has seen no event."""
_ALONE = 1_000
_STOP_S = 30.0
_LANES = "SELECT partition, seq FROM memferry.lane WHERE projection = %s AND source = %s"


class Sightings:
    """How far each lane's rows were seen to be visible, and when."""

    def __init__(self) -> None:
        self._seqs: dict[int, list[int]] = {}
        self._times: dict[int, list[float]] = {}
        self.count = 0

    def note(self, lanes: Iterable[tuple[int, int]], now: float) -> None:
        """Keep what an answer said; a lane that stood still is not noted again."""
        self.count += 1
        for partition, seq in lanes:
            seqs = self._seqs.setdefault(partition, [])
            if not seqs or seq > seqs[-1]:
                seqs.append(seq)
                self._times.setdefault(partition, []).append(now)

    def visible(self, partition: int, seq: int) -> float:
        """Return when an event's rows were seen to be there: at the first answer that has it.

        Raises: LookupError where no answer had it.
        """
        return self._times[partition][bisect_left(self._seqs[partition], seq)]


@contextmanager
def watched(dsn: str, projection: str, source: str) -> Iterator[Sightings]:
    """Look, from a connection and a thread of its own, until the block ends."""
    sightings = Sightings()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            if list(conn.notifies(timeout=0.1, stop_after=1)):
                lanes = conn.execute(_LANES, (projection, source)).fetchall()
                sightings.note(lanes, time.monotonic())

    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("LISTEN memferry_applied")
        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield sightings
        finally:
            ended.set()
            looking.join()


def visible() -> list[Result]:
    """Milliseconds from the durable receipt to the visible row, p50 and p99."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, 4)
        attach(settings).close()
        seen, sightings, projector_mb = _lived(settings)
        bare = _bare(settings)
    first = _WARM_S * RATE
    places = list(zip(seen.partition, seen.seq, strict=True))[first:]
    shown = [sightings.visible(*place) for place in places]
    from_durable = _ms(seen.durable[first:], shown)
    from_record = _ms(seen.recorded[first:], shown)
    alone = [taken * 1_000 for taken in seen.alone]
    note = (
        f"{len(shown):,} events at {RATE:,}/s, latest {seen.late_s * 1_000:.1f} ms behind its "
        f"time; {sightings.count:,} notifications; from `record`: {_both(from_record)}; one event "
        f"at a time, `record` to `applied`: {_both(alone)}; limit: aiokafka's producer, its "
        f"consumer and one INSERT a fetch at the same rate, no outbox, no lane; peak memory: app "
        f"{seen.rss_mb:.0f} MB, projector {projector_mb:.0f} MB"
    )
    return [
        result(
            name, percentile(from_durable, percent), "ms", percentile(bare, percent), projector_mb,
            note if percent == 50 else "",
        )
        for name, percent in zip(FIGURES, (50, 99), strict=True)
    ]  # fmt: skip


def _lived(settings: Settings) -> tuple[Seen, Sightings, float]:
    """Run app and projector side by side; return what app and onlooker saw."""
    environment = os.environ | {
        "MEMFERRY_TOPIC": settings.topic, "MEMFERRY_PROJECTION": settings.projection,
        "MEMFERRY_DOMAIN": settings.domain,
        "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
    }  # fmt: skip
    projector = subprocess.Popen(
        [sys.executable, "-c", "from compose.cli import main; main()", "project"],
        env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        given = Work(settings, RATE * (SECONDS + _WARM_S), RATE, _ALONE)
        with watched(settings.postgres.dsn, settings.projection, settings.source) as sightings:
            seen: Seen = in_process("live_app", given, Seen)
        projector_mb = peak_rss_mb(projector.pid)
    finally:
        projector.send_signal(signal.SIGTERM)
        projector.wait(_STOP_S)
    return seen, sightings, projector_mb


def _bare(settings: Settings) -> list[float]:
    """Return the milliseconds that the bare parts took, after as long a warming up."""
    bare = replace(
        settings, topic=f"{settings.topic}bare", kafka=replace(settings.kafka, partitions=1)
    )
    asyncio.run(ensure_topics(bare, 1))
    given = Work(bare, RATE * (SECONDS + _WARM_S), RATE)
    taken: list[float] = in_process("live_bare_process", given, list[float])
    return [seconds * 1_000 for seconds in taken[_WARM_S * RATE :]]


def _ms(begun: Sequence[float], ended: Sequence[float]) -> list[float]:
    return [(end - begin) * 1_000 for begin, end in zip(begun, ended, strict=True)]


def _both(values: Sequence[float]) -> str:
    return f"p50 {percentile(values, 50):.1f} ms, p99 {percentile(values, 99):.1f} ms"
