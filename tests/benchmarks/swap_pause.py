"""How long readers wait while the tables that they read are swapped, by the readers' own clock.

50 readers query two tables by key, again and again, while 1,000 mutations a second arrive and are
applied. The pause of a swap is the longest that any reader waited, of the queries that were under
way from the swap's first attempt until a moment behind it.
"""

import asyncio
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import psycopg

from compose.stack import ephemeral_stack
from projector.replay.beside import drop
from projector.replay.replaying import Replayed, replay
from projector.replay.target import Target
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.cutover import projecting, trading
from tests.benchmarks.cutover_app import RATE
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.swap_readers import Readings, Wanted
from tests.benchmarks.until_stopped import until_stopped
from tests.benchmarks.workload import settings_for

FIGURES = ("swap_reader_pause_ms",)
_READERS = 50
_SWAPS = 10
_ATTEMPT_S = 0.4
"""What an attempt that fails takes, with the pause behind it."""
_BEHIND_S = 0.3
_DEADLINE_S = 60.0
_LOOK_S = 0.05


class _Swap(NamedTuple):
    """When readers may have waited for it, in seconds of the machine's clock."""

    first: float
    last: float
    done: Replayed


def at_swaps() -> list[Result]:
    """Readers' waits around 10 swaps of tables made anew."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        place = {
            "name": name, "kafka": endpoints.kafka, "dsn": endpoints.postgres,
            "directory": directory, "partitions": 4,
        }  # fmt: skip
        settings = settings_for(**place)  # type: ignore[arg-type]
        journal = str(Path(directory) / "journal.jsonl")
        with trading({**place, "journal": journal}) as stop, projecting(settings):
            _await_rows(settings)
            with _reading(settings) as stop_reading:
                swaps = [_swap(settings) for _ in range(_SWAPS)]
                seen = stop_reading()
            clients = stop()
    if seen.errors or clients.errors:
        raise RuntimeError(f"readers and clients saw {[*seen.errors, *clients.errors][:3]}")
    return [_figure(seen, swaps)]


def _swap(settings: Settings) -> _Swap:
    """Make the tables anew beside the live ones, and swap them."""
    done = asyncio.run(replay(settings, DOMAIN, Target(end=True)))
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        # When the transaction of the swap began, by the clock that readers look at, too.
        row = conn.execute(
            "SELECT extract(epoch FROM made_at)::float8 FROM memferry.beside WHERE name = %s",
            (done.kept,),
        ).fetchone()
        assert row is not None
        drop(conn, done.kept)
    sys.stderr.write(f"  {done.pause_ms:.0f} ms in {done.attempts} attempts\n")
    first = float(row[0]) - _ATTEMPT_S * (done.attempts - 1)
    return _Swap(first, float(row[0]) + done.pause_ms / 1000 + _BEHIND_S, done)


def _figure(seen: Readings, swaps: list[_Swap]) -> Result:
    pauses_ms = [
        max(read.ms for read in seen.reads if read.began < swap.last and read.ended > swap.first)
        for swap in swaps
    ]
    calm_ms = [
        read.ms
        for read in seen.reads
        if not any(read.began < swap.last and read.ended > swap.first for swap in swaps)
    ]
    seconds = seen.reads[-1].ended - seen.reads[0].began
    own = sorted(swap.done.pause_ms for swap in swaps)
    attempts = sum(swap.done.attempts for swap in swaps)
    note = (
        f"{len(swaps)} swaps in {attempts} attempts, {_READERS} readers with "
        f"{len(seen.reads) / seconds:,.0f} queries/s, {RATE:,} mutations/s; p50 of the swaps "
        f"{percentile(pauses_ms, 50):.1f} ms; by their own clock p50 {percentile(own, 50):.1f}, "
        f"max {own[-1]:.1f} ms; limit: p99 of all queries that no swap came near, the longest "
        f"of them {max(calm_ms):.1f} ms"
    )
    return result(FIGURES[0], max(pauses_ms), "ms", percentile(calm_ms, 99), seen.rss_mb, note)


def _await_rows(settings: Settings) -> None:
    """Wait for the projector to have made the tables, and applied something."""
    deadline = time.monotonic() + _DEADLINE_S
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.errors.UndefinedTable):
                lanes = "SELECT FROM memferry.lane WHERE projection = %s"
                if conn.execute(lanes, (settings.projection,)).fetchone() is not None:
                    return
            time.sleep(_LOOK_S)
    raise TimeoutError("nothing was applied")


def _reading(settings: Settings) -> AbstractContextManager[Callable[[], Readings]]:
    """Readers read; what is given stops them and returns what they saw."""
    wanted = Wanted(settings.postgres.dsn, settings.projection, _READERS)
    return until_stopped("swap_readers", wanted, Readings)
