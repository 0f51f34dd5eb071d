"""How long an app with a full outbox takes to open it."""

import tempfile
import time
from pathlib import Path

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from tests.benchmarks.result import Result, result
from tests.eventlog.outbox.appender import Item

_EVENTS = 1_000_000
_GROUP = 10_000
_IDENTITY = OutboxIdentity("bench", "bench", 1, 4)


def full_outbox() -> list[Result]:
    """Open an outbox of a million unsent events, its end checked, ready for the next one."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bench.db"
        outbox = SqliteOutbox(path, _IDENTITY)
        for first in range(0, _EVENTS, _GROUP):
            outbox.append(
                [Item(n % 4, f"trade/T-{n}", "x" * 200) for n in range(first, first + _GROUP)]
            )
        outbox.close()
        size_mb = path.stat().st_size / 1_000_000
        started = time.perf_counter()
        outbox = SqliteOutbox(path, _IDENTITY)
        taken = time.perf_counter() - started
        assert outbox.last_row() == _EVENTS
        outbox.close()
    note = f"{_EVENTS:,} events, {size_mb:,.0f} MB; just written, so its pages are in memory"
    return [result("outbox_open_s", taken, "s", note=note)]
