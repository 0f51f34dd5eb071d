"""A campaign: audits of an app under load; whatever one finds is a false alarm.

python -m tests.journeys.audit_clean COUNT SEED      exit 0 none, 1 with the first one
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compose.stack import Endpoints, ephemeral_stack
from tests.benchmarks.result import peak_rss_mb
from tests.journeys.quiet_audits import Audit, Event, Quiet

AUDITS_A_LEG = 100
"""Then app and log begin anew, for all that is recorded stays in memory."""
EVENTS_PER_S = 1_000
_WEIGHTS: dict[Event, int] = {
    "nothing": 72, "kill relay": 5, "kill projector": 3, "savepoint": 4, "look back": 6,
    "look back at once": 2, "final": 3, "void streams": 3, "unvoid": 2,
}  # fmt: skip
_FAILURES_SHOWN = 5


def main(arguments: Sequence[str]) -> int:
    """Audit so many times; print what came of it."""
    count, seed = int(arguments[0]), int(arguments[1])
    audits: list[Audit] = []
    began = time.monotonic()
    with ephemeral_stack() as stack:
        endpoints = stack.endpoints()
        assert endpoints is not None
        for leg, first in enumerate(range(0, count, AUDITS_A_LEG)):
            draw = random.Random(f"{seed} {leg}")
            with tempfile.TemporaryDirectory() as directory:
                asyncio.run(
                    _leg(endpoints, Path(directory), draw, min(AUDITS_A_LEG, count - first), audits)
                )
            sys.stderr.write(f"{len(audits)} of {count} audits\n")
            if audits[-1].alarm:
                break
    _show(audits, seed, time.monotonic() - began)
    return 1 if audits[-1].alarm else 0


async def _leg(
    endpoints: Endpoints, directory: Path, draw: random.Random, count: int, audits: list[Audit]
) -> None:
    quiet = Quiet(endpoints, directory, draw, EVENTS_PER_S)
    try:
        await quiet.start()
        done = 0
        while done < count:
            (event,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            one = await quiet.audit(len(audits), event)
            audits.append(one)
            done += not one.failed
            if one.alarm:
                return
    finally:
        quiet.close()


def _show(audits: Sequence[Audit], seed: int, took_s: float) -> None:
    out = sys.stdout.write
    done = [one for one in audits if not one.failed]
    failed = [one for one in audits if one.failed]
    happened = Counter(one.happened for one in audits)
    states = Counter(one.state for one in done)
    seconds = sorted(one.seconds for one in done)
    out(
        f"{len(done):,} audits in {took_s:,.0f} s under {EVENTS_PER_S:,} events/s (seed {seed})\n"
        f"false alarms        {sum(bool(one.alarm) for one in done)}\n"
        f"seconds an audit    p50 {statistics.median(seconds):.2f}, max {seconds[-1]:.2f}\n"
        f"events folded       {sum(one.events for one in done):,}\n"
        f"tables meanwhile    {_counts(states)}\n"
        f"what happened       {_counts(happened)}\n"
        f"without a result    {len(failed)}\n"
        f"memory at most      {peak_rss_mb():.0f} MB, the auditing process\n"
    )
    for one in failed[:_FAILURES_SHOWN]:
        out(f"no result: audit {one.number}, after {one.happened}: {one.failed}\n")
    for one in done:
        if one.alarm:
            out(f"false alarm: seed {seed}, audit {one.number}, {one.state}, ")
            out(f"after {[before.happened for before in audits[-10:]]}\n{one.alarm}\n")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
