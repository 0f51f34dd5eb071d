"""An app that records at a steady rate, one thread recording, one waiting as its clients do.

What it is to do comes as JSON on standard input, what it saw goes as JSON to standard output. Times
are of the machine's monotonic clock, in seconds: other processes read the same one.
"""

import sys
import threading
import time
from queue import SimpleQueue

import msgspec

from eventlog.receipts import Receipt
from eventlog.shim import attach
from schemas.settings import Settings
from tests.benchmarks.result import peak_rss_mb
from tests.benchmarks.workload import trade_events

_PATIENCE_S = 60.0
_BURST_APART = 10_000_000


class Work(msgspec.Struct):
    """How many events at which rate; then so many one at a time."""

    settings: Settings
    events: int
    rate: int
    """Events a second; what is late is made up for."""
    alone: int = 0


class Seen(msgspec.Struct):
    """Of each event in turn, when `record` was called, when it was durable, and its lane's place.

    `alone`: seconds from `record` to the notification that an event is applied, nothing else going.
    """

    recorded: list[float]
    durable: list[float]
    partition: list[int]
    seq: list[int]
    alone: list[float]
    late_s: float
    """Longest that `record` was called after its time."""
    rss_mb: float


def work(given: Work) -> Seen:
    """Be the app."""
    ferry = attach(given.settings)
    ferry.register("trade", {})
    waiting: SimpleQueue[Receipt | None] = SimpleQueue()
    receipts: list[Receipt] = []
    durable: list[float] = []

    def wait() -> None:
        while (receipt := waiting.get()) is not None:
            receipt.durable(_PATIENCE_S)
            durable.append(time.monotonic())
            receipts.append(receipt)

    clients = threading.Thread(target=wait)
    clients.start()
    recorded: list[float] = []
    late = 0.0
    begun = time.monotonic()
    for number, event in enumerate(trade_events(given.events)):
        due = begun + number / given.rate
        while (early := due - time.monotonic()) > 0:
            time.sleep(early)
        now = time.monotonic()
        late = max(late, now - due)
        recorded.append(now)
        waiting.put(ferry.record(event))
    waiting.put(None)
    clients.join()
    receipts[-1].applied(_PATIENCE_S)
    alone = []
    for event in trade_events(given.alone, _BURST_APART):
        now = time.monotonic()
        ferry.record(event).applied(_PATIENCE_S)
        alone.append(time.monotonic() - now)
    ferry.close(_PATIENCE_S)
    return Seen(
        recorded, durable, [r.partition for r in receipts], [r.seq for r in receipts], alone, late,
        peak_rss_mb(),
    )  # fmt: skip


if __name__ == "__main__":
    seen = work(msgspec.json.decode(sys.stdin.buffer.read(), type=Work))
    sys.stdout.buffer.write(msgspec.json.encode(seen))
