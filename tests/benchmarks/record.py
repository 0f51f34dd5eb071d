"""What recording costs the app: one call, and events a second with every receipt durable."""

import tempfile
import time
from pathlib import Path

import apsw

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.recorder import Recorder
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.workload import trade_events

_CALLS = 50_000
_PAUSE_EVERY = 50
_SUSTAINED = 200_000
_GROUP = 1_000


def _recorder(directory: str) -> tuple[Recorder, dict[str, object]]:
    identity = OutboxIdentity("bench", "bench", 1, 4)
    outbox = SqliteOutbox(Path(directory) / "bench.db", identity)
    recorder = Recorder(outbox, DOMAIN, 1_000_000, 50_000)
    trades: dict[str, object] = {}
    recorder.add_store("trade", trades)
    return recorder, trades


def latency() -> list[Result]:
    """One `record` call, as its caller feels it, at a rate the disk keeps up with."""
    with tempfile.TemporaryDirectory() as directory:
        recorder, _ = _recorder(directory)
        events = list(trade_events(_CALLS))
        taken: list[float] = []
        for number, event in enumerate(events):
            started = time.perf_counter_ns()
            receipt = recorder.record(event)
            taken.append((time.perf_counter_ns() - started) / 1_000)
            if number % _PAUSE_EVERY == 0:
                receipt.durable()
        recorder.close()
    durable = _fsynced_rows_per_s(1, 2_000)
    note = f"one fsynced SQLite commit takes {1e6 / durable:,.0f} us"
    return [
        result("record_p50_us", percentile(taken, 50), "us", note=note),
        result("record_p99_us", percentile(taken, 99), "us", note=note),
    ]


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
