"""An app whose clients wait: each mutation due at its time, answered once it is durable.

Settings as JSON in the first line of standard input; says `ready` once Kafka knows it, and trades
until told to stop; what its clients saw is JSON on standard output, what it acknowledged in a
journal.
"""

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from compose.trading_app.journal import Journal
from compose.trading_app.recording import Recorded
from eventlog.shim import Ferry, attach
from schemas.errors import FerryError
from tests.benchmarks.result import peak_rss_mb
from tests.benchmarks.workload import settings_for, trade_events

CLIENTS = 20
RATE = 1_000
_PERIOD_S = CLIENTS / RATE
_TRADES_APART = 10_000_000
_PROBE_S = 0.25
_PATIENCE_S = 30.0
_END_S = 60.0
_ENDLESS = sys.maxsize
_GROUP = 500


class Probe(NamedTuple):
    """When a barrier was placed, durable, and applied in every partition."""

    placed: float
    durable: float
    applied: float


class Wait(NamedTuple):
    """One mutation: when it was due, when its client called, when it was durable."""

    due: float
    called: float
    durable: float

    @property
    def ms(self) -> float:
        """How long its client waited for it."""
        return (self.durable - self.called) * 1000


class Seen(msgspec.Struct):
    """Times of this machine's monotonic clock, in seconds."""

    waits: list[Wait] = []
    probes: list[Probe] = []
    errors: list[str] = []
    rss_mb: float = 0.0


class Clients:
    """Threads that record at a common rate, each entities of its own."""

    def __init__(self, ferry: Ferry) -> None:
        self.acknowledged: queue.SimpleQueue[Recorded | None] = queue.SimpleQueue()
        self.seen = Seen()
        self._ferry = ferry
        self._ended = threading.Event()
        began = time.monotonic() + _PERIOD_S
        work = [(self._trade, (n, began + n / RATE)) for n in range(CLIENTS)]
        self._threads = [threading.Thread(target=run, args=given) for run, given in work]
        self._threads.append(threading.Thread(target=self._probe))

    def start(self) -> None:
        """Let all begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each end what it is at, and wait for that."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_END_S)
            if thread.is_alive():
                self.seen.errors.append("a client never had its answer")
        self.acknowledged.put(None)

    def _trade(self, number: int, due: float) -> None:
        """Record one mutation a period; a client that is late calls again at once."""
        for event in trade_events(_ENDLESS, number * _TRADES_APART):
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
            called = time.monotonic()
            try:
                receipt = self._ferry.record(event)
                receipt.durable(_PATIENCE_S)
            except FerryError as error:
                self.seen.errors.append(str(error))
                return
            self.seen.waits.append(Wait(due, called, time.monotonic()))
            self.acknowledged.put(Recorded(event, receipt))
            due += _PERIOD_S

    def _probe(self) -> None:
        """Measure what a barrier takes where nobody stands still for it."""
        while not self._ended.wait(_PROBE_S):
            placed = time.monotonic()
            receipts = self._ferry.place_barrier("probe", "probe", with_memory=False).receipts
            try:
                receipts[-1].durable(_PATIENCE_S)
                durable = time.monotonic()
                for receipt in receipts:
                    receipt.applied(_PATIENCE_S)
            except FerryError as error:
                self.seen.errors.append(str(error))
                return
            self.seen.probes.append(Probe(placed, durable, time.monotonic()))


def keep_journal(
    journal: Journal, source: str, acknowledged: queue.SimpleQueue[Recorded | None]
) -> None:
    """Write what clients were answered, in the order of the answers, until a None."""
    while True:
        group = [acknowledged.get()]
        while len(group) < _GROUP and not acknowledged.empty():
            group.append(acknowledged.get())
        journal.acknowledge([one for one in group if one is not None], source)
        if None in group:
            return


def main() -> None:
    """Be the app."""
    place = json.loads(sys.stdin.readline())
    journal = Journal(Path(place.pop("journal")), {})
    ferry = attach(settings_for(**place))
    ferry.register("trade", {})
    clients = Clients(ferry)
    writer = threading.Thread(
        target=keep_journal, args=(journal, ferry.source, clients.acknowledged)
    )
    writer.start()
    clients.start()
    ferry.place_barrier("ready", "ready", with_memory=False).receipts[-1].replicated(_PATIENCE_S)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    clients.stop()
    writer.join()
    journal.close()
    ferry.close(_END_S)
    clients.seen.rss_mb = peak_rss_mb()
    sys.stdout.write(msgspec.json.encode(clients.seen).decode())


if __name__ == "__main__":
    main()
