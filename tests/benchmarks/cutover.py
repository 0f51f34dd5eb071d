"""How long clients wait while reads move to PostgreSQL and back, by the clients' own clock.

Under 1,000 mutations a second with everything on the machine's cores. The pause of a switch is the
longest that any client waited, from its call until its mutation was durable, of all calls that were
under way from the fence's request until a moment after its end.
"""

import asyncio
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from compose.cli.project import tune_interpreter
from compose.demo.processes import MEMFERRY
from compose.stack import Endpoints, ephemeral_stack
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from projector.migration.interface import ZeroDowntimeMigration
from schemas.lane import CONTROL_PARTITION
from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.benchmarks.cutover_app import RATE, Probe, Seen
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.until_stopped import until_stopped
from tests.benchmarks.workload import settings_for
from tests.checker import check
from tests.fences import AROUND_S, Fence, decided_fences

_STRETCHES = 5
_SWITCHES = 4
_MOST_RUNS = 8
_DEADLINE_S = 120.0
_LOOK_S = 0.05
_SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}
FIGURES = tuple(
    f"{name}_pause_{which}_ms" for name in ("cutover", "switch_back") for which in _SHARES
)


class _Stretch(NamedTuple):
    """What clients saw, and the fences of it."""

    seen: Seen
    fences: list[Fence]
    undone: list[str]


def switches() -> list[Result]:
    """Clients' waits around 20 cutovers and 20 switches back.

    In stretches, each an app and a log of its own: a migration reads the whole log three times, and
    at this rate a log that is never begun anew soon takes longer to read than to write.
    """
    tune_interpreter()
    with ephemeral_stack() as stack:
        endpoints = stack.endpoints()
        assert endpoints is not None
        stretches = [_stretch(endpoints) for _ in range(_STRETCHES)]
    return _figures(stretches)


def _stretch(endpoints: Endpoints) -> _Stretch:
    with tempfile.TemporaryDirectory() as directory:
        name = f"bench{secrets.token_hex(4)}"
        place = {
            "name": name, "kafka": endpoints.kafka, "dsn": endpoints.postgres,
            "directory": directory, "partitions": 4,
        }  # fmt: skip
        settings = settings_for(**place)  # type: ignore[arg-type]
        journal = Path(directory) / "journal.jsonl"
        with trading({**place, "journal": str(journal)}) as stop, projecting(settings):
            undone = _switch(ZeroDowntimeMigration(settings))
            seen = stop()
            _wait_for_rows(settings)
        lost = _count(settings, journal)
        if seen.errors or lost:
            raise RuntimeError(f"clients saw {seen.errors[:3]}; the checker says {lost or 'clean'}")
        return _Stretch(seen, decided_fences(settings), undone)


def _switch(migration: ZeroDowntimeMigration) -> list[str]:
    """Go there and back so many times; return why runs were undone, if any were."""
    undone: list[str] = []
    for number in range(1, _MOST_RUNS + 1):
        there = migration.run()
        if there.state != "finished":
            undone.append(there.reason)
            sys.stderr.write(f"  {number}: undone: {there.reason}\n")
            continue
        back = migration.switch_back()
        sys.stderr.write(
            f"  {number}: there {there.cutover_pause_ms:.0f} ms, back {back.pause_ms:.0f} ms\n"
        )
        if number - len(undone) == _SWITCHES:
            return undone
    raise RuntimeError(f"{len(undone)} of {_MOST_RUNS} runs were undone: {undone[0]}")


def _figures(stretches: Sequence[_Stretch]) -> list[Result]:
    waits = [wait for stretch in stretches for wait in stretch.seen.waits]
    waits_ms = [wait.ms for wait in waits]
    late_ms = [(wait.called - wait.due) * 1000 for wait in waits]
    seconds = sum(_seconds(stretch.seen) for stretch in stretches)
    undone = sum(len(stretch.undone) for stretch in stretches)
    common = (
        f"{len(waits) / seconds:,.0f} of {RATE:,} mutations/s for {seconds:.0f} s; of all, clients "
        f"waited p50 {percentile(waits_ms, 50):.1f}, p99 {percentile(waits_ms, 99):.1f} ms, called "
        f"late by p50 {percentile(late_ms, 50):.1f}, p99 {percentile(late_ms, 99):.1f} ms; "
        f"{undone} runs undone"
    )
    rss_mb = max(stretch.seen.rss_mb for stretch in stretches)
    calm = [probe for stretch in stretches for probe in _calm(stretch)]
    bare_ms = {
        "cutover": [(probe.applied - probe.placed) * 1000 for probe in calm],
        "switch_back": [(probe.durable - probe.placed) * 1000 for probe in calm],
    }
    found = []
    for purpose, bare in bare_ms.items():
        mine = [(s.seen, f) for s in stretches for f in s.fences if f.purpose == purpose]
        pauses_ms = [_longest_ms(seen, fence) for seen, fence in mine]
        shim_ms = [fence.shim_ms for _, fence in mine]
        promise = "applied" if purpose == "cutover" else "durable"
        note = (
            f"{len(mine)} times; the shim's own pause: p50 {_rank(shim_ms, 0.5):.1f}, max "
            f"{max(shim_ms):.1f} ms; limit: p10 of a barrier until {promise}, outside switches and "
            f"under the same load; {common}"
        )
        limit = percentile(bare, 10)
        for which, share in _SHARES.items():
            name, value = f"{purpose}_pause_{which}_ms", _rank(pauses_ms, share)
            found.append(result(name, value, "ms", limit, rss_mb, note))
    return found


def _seconds(seen: Seen) -> float:
    return max(wait.durable for wait in seen.waits) - min(wait.due for wait in seen.waits)


def _calm(stretch: _Stretch) -> list[Probe]:
    """Return the probes that no fence came near."""
    return [
        probe
        for probe in stretch.seen.probes
        if not any(
            fence.asked - AROUND_S < probe.applied and probe.placed < fence.ended + AROUND_S
            for fence in stretch.fences
        )
    ]


def _longest_ms(seen: Seen, fence: Fence) -> float:
    """Return the longest wait of the calls that were under way around a fence."""
    first, last = fence.asked, fence.ended + AROUND_S
    return max(wait.ms for wait in seen.waits if wait.called < last and wait.durable > first)


def _rank(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def trading(place: dict[str, object]) -> AbstractContextManager[Callable[[], Seen]]:
    """Clients trade; what is given stops them and returns what they saw."""
    return until_stopped("cutover_app", place, Seen)


@contextmanager
def projecting(settings: Settings) -> Iterator[None]:
    environment = os.environ | {
        "MEMFERRY_TOPIC": settings.topic, "MEMFERRY_PROJECTION": settings.projection,
        "MEMFERRY_DOMAIN": settings.domain,
        "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
    }  # fmt: skip
    projector = subprocess.Popen([*MEMFERRY, "project"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        projector.send_signal(signal.SIGTERM)
        projector.wait(_DEADLINE_S)


def _wait_for_rows(settings: Settings) -> None:
    """Return once everything in the outbox is in the tables."""
    reader = SqliteOutboxReader(settings.outbox_path)
    recorded = sum(head.seq for p, head in reader.heads().items() if p != CONTROL_PARTITION)
    reader.close()
    deadline = time.monotonic() + _DEADLINE_S
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        while time.monotonic() < deadline:
            row = conn.execute(
                "SELECT coalesce(sum(seq), 0) FROM memferry.lane WHERE projection = %s",
                (settings.projection,),
            ).fetchone()
            if row and row[0] == recorded:
                return
            time.sleep(_LOOK_S)
    raise TimeoutError(f"only {row} of {recorded} events were applied")


def _count(settings: Settings, journal: Path) -> str:
    """Have the independent checker count; return what it says where it is not clean."""
    verdict = asyncio.run(
        check(
            journal=journal,
            bootstrap=settings.kafka.bootstrap,
            topic=kafka_topic(settings.topic, 1),
            dsn=settings.postgres.dsn,
            schema=settings.projection,
        )
    )
    sys.stderr.write(f"  the checker says {verdict}\n")
    return "" if verdict.clean else str(verdict)
