"""What recording costs the app: one call, events a second, and how soon an event is durable."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import apsw

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.receipts import Receipt
from eventlog.recorder import Recorder
from schemas.settings import Outbox
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.workload import trade_events

_CALLS = 50_000
_WRITTEN_THROUGH = 2_000
_PAUSE_EVERY = 50
_SUSTAINED = 200_000
_GROUP = 1_000
_PACED = 10_000
_PACE_S = 0.001


def _recorder(directory: str, *, write_through: bool = False) -> tuple[Recorder, dict[str, object]]:
    identity = OutboxIdentity("bench", "bench", 1, 4)
    outbox = SqliteOutbox(Path(directory) / "bench.db", identity)
    options = Outbox(write_through=write_through)
    recorder = Recorder(outbox, DOMAIN, 1_000_000, 50_000, options)
    trades: dict[str, object] = {}
    recorder.add_store("trade", trades)
    return recorder, trades


def latency() -> list[Result]:
    """One `record` call, as its caller feels it, at a rate the disk keeps up with.

    Each event is made when it is recorded, as an app does it: one made long before is far from the
    processor.
    """
    taken, through = _calls(_CALLS), _calls(_WRITTEN_THROUGH, write_through=True)
    durable = _fsynced_rows_per_s(1, 2_000)
    note = (
        f"written through: p50 {percentile(through, 50):,.0f} us, p99 "
        f"{percentile(through, 99):,.0f} us; one fsynced SQLite commit takes "
        f"{1e6 / durable:,.0f} us"
    )
    return [
        result("record_p50_us", percentile(taken, 50), "us", note=note),
        result("record_p99_us", percentile(taken, 99), "us", note=note),
    ]


def _calls(count: int, *, write_through: bool = False) -> list[float]:
    """Return the microseconds that each call took."""
    with tempfile.TemporaryDirectory() as directory:
        recorder, _ = _recorder(directory, write_through=write_through)
        taken: list[float] = []
        for number, event in enumerate(trade_events(count)):
            started = time.perf_counter_ns()
            receipt = recorder.record(event)
            taken.append((time.perf_counter_ns() - started) / 1_000)
            if number % _PAUSE_EVERY == 0:
                receipt.durable()
        recorder.close()
    return taken


def sustained() -> list[Result]:
    """Events a second from one thread until the last receipt is durable."""
    with tempfile.TemporaryDirectory() as directory:
        recorder, _ = _recorder(directory)
        started = time.perf_counter()
        for event in trade_events(_SUSTAINED):
            receipt = recorder.record(event)
        receipt.durable()
        seconds = time.perf_counter() - started
        recorder.close()
    limit = _fsynced_rows_per_s(_GROUP, 100_000)
    note = f"limit: the same bytes into SQLite, fsynced every {_GROUP} rows"
    return [result("record_durable_events_per_s", _SUSTAINED / seconds, "1/s", limit, note=note)]


def receipts() -> list[Result]:
    """From `record` to the durable receipt, at 1,000 events a second whatever the disk does."""
    with tempfile.TemporaryDirectory() as directory:
        recorder, _ = _recorder(directory)
        recorded: SimpleQueue[tuple[float, Receipt] | None] = SimpleQueue()
        taken: list[float] = []

        def wait() -> None:
            while (item := recorded.get()) is not None:
                started, receipt = item
                receipt.durable()
                taken.append((time.perf_counter() - started) * 1_000)

        waiting = threading.Thread(target=wait)
        waiting.start()
        for started, event in zip(_paced(_PACED), trade_events(_PACED), strict=True):
            recorded.put((started, recorder.record(event)))
        recorded.put(None)
        waiting.join()
        recorder.close()
    limit = _fsync_p99_ms()
    note = "limit: p99 of one 4 KiB write and fsync, at the same pace"
    return [result("receipt_durable_p99_ms", percentile(taken, 99), "ms", limit, note=note)]


def _paced(count: int) -> Iterator[float]:
    """Yield the time now, `count` times, at a fixed pace; late ones are made up for."""
    due = time.perf_counter()
    for _ in range(count):
        due += _PACE_S
        time.sleep(max(0.0, due - time.perf_counter()))
        yield time.perf_counter()


def _fsync_p99_ms() -> float:
    with tempfile.NamedTemporaryFile() as file:
        taken = []
        for started in _paced(_PACED // 5):
            file.write(bytes(4_096))
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1_000)
    return percentile(taken, 99)


def _fsynced_rows_per_s(group: int, rows: int) -> float:
    """Return what SQLite alone does: rows of an event's size, WAL, synchronous=FULL."""
    with tempfile.TemporaryDirectory() as directory:
        db = apsw.Connection(f"{directory}/raw.db")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE event (row INTEGER PRIMARY KEY, stream TEXT, event BLOB)")
        event = bytes(520)
        started = time.perf_counter()
        for first in range(0, rows, group):
            with db:
                db.executemany(
                    "INSERT INTO event VALUES (?, ?, ?)",
                    [(first + n, "trade/T-1", event) for n in range(group)],
                )
        seconds = time.perf_counter() - started
        db.close()
    return rows / seconds
