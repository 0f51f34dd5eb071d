"""Catching up over many millions of events: rate and memory of each million.

python -m tests.benchmarks.long [COUNT]
"""

import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from compose.stack import ephemeral_stack
from tests.benchmarks.catch_up import projected
from tests.benchmarks.projector_process import Mark
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import settings_for, trade_events

_COUNT = 10_000_000
_MILLION = 1_000_000
_OUTPUT = Path("build/bench/long.json")


class Stretch(msgspec.Struct):
    """One stretch of a run: events/s in it, MB at its end."""

    until: int
    events_per_s: float
    rss_mb: float


def stretches(marks: Sequence[Mark]) -> list[Stretch]:
    """Return the stretches that end at the marks; the first one has the projector's start in it."""
    begins = [Mark(0, 0.0, 0.0), *marks]
    return [
        Stretch(end.events, (end.events - begin.events) / (end.seconds - begin.seconds), end.rss_mb)
        for begin, end in zip(begins, marks, strict=False)
    ]


def main(arguments: list[str]) -> int:
    """Measure, print, and write build/bench/long.json."""
    count = int(arguments[0]) if arguments else _COUNT
    every = min(_MILLION, count)
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, 1)
        sys.stderr.write(f"recording {count:,} events\n")
        fill_topic(settings, *(trade_events(every, first) for first in range(0, count, every)))
        sys.stderr.write("projecting them\n")
        figures, _ = projected(settings, 0, mark_every=every)
    found = stretches(figures.marks)
    table = Table("events", "events/s in the stretch", "MB at its end", box=None, pad_edge=False)
    for one in found:
        table.add_row(f"{one.until:,}", f"{one.events_per_s:,.0f}", f"{one.rss_mb:.0f}")
    console = Console()
    console.print(table)
    console.print(
        f"{figures.events:,} events in {figures.seconds:.1f} s: "
        f"{figures.events / figures.seconds:,.0f}/s, {figures.rss_mb:.0f} MB at most",
        highlight=False,
    )
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
