"""From `record` to the committed row with everything running on the machine's cores.

The workload is a trading app's: mostly bars, then trades and their fills.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque

import psycopg

from compose.stack import ephemeral_stack
from eventlog.shim import attach
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, peak_rss_mb, result
from tests.benchmarks.staged import batches_of, raw_staged
from tests.benchmarks.workload import market_events, settings_for

_EVENTS = 300_000
_RING = 100
_DEADLINE_S = 120


def app_process() -> None:
    """Be the app: settings as JSON on standard input; record, and say when it began."""
    settings = settings_for(**json.load(sys.stdin))
    ferry = attach(settings)
    ferry.register("trade", {})
    ferry.register("market_data", defaultdict(lambda: deque(maxlen=_RING)))
    sys.stdout.write(f"{time.time()}\n")
    sys.stdout.flush()
    for event in market_events(_EVENTS):
        receipt = ferry.record(event)
    receipt.replicated(_DEADLINE_S)
    sys.stdout.write(f"{peak_rss_mb()}\n")
    sys.stdout.flush()
    ferry.close()


def everything() -> list[Result]:
    """Events a second: app with its relay thread, Kafka, projector and PostgreSQL at once."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        place = {
            "name": name, "kafka": endpoints.kafka, "dsn": endpoints.postgres,
            "directory": directory, "partitions": 4,
        }  # fmt: skip
        environment = os.environ | {
            "MEMFERRY_TOPIC": name, "MEMFERRY_PROJECTION": name,
            "MEMFERRY_DOMAIN": "schemas.trading",
            "MEMFERRY_KAFKA_BOOTSTRAP": endpoints.kafka,
            "MEMFERRY_POSTGRES_DSN": endpoints.postgres,
        }  # fmt: skip
        attach(settings_for(**place)).close()  # type: ignore[arg-type]
        projector = subprocess.Popen(
            [sys.executable, "-c", "from compose.cli import main; main()", "project"],
            env=environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        app = subprocess.Popen(
            [sys.executable, "-c", "from tests.benchmarks.pipeline import *; app_process()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert app.stdin is not None
            assert app.stdout is not None
            app.stdin.write(json.dumps(place))
            app.stdin.close()
            began = float(app.stdout.readline())
            seconds = _wait_for_rows(endpoints.postgres, name) - began
            app_mb = float(app.stdout.readline())
            projector_mb = peak_rss_mb(projector.pid)
            app.wait(_DEADLINE_S)
        finally:
            app.kill()
            projector.send_signal(signal.SIGTERM)
            projector.wait(30)
        batches = list(batches_of(DOMAIN, market_events(120_000)))
        limit = raw_staged(endpoints.postgres, name, DOMAIN, batches)
    note = (
        f"peak memory: app with relay {app_mb:.0f} MB, projector {projector_mb:.0f} MB; limit: "
        "staged COPY + upsert of the same events' rows, alone on the machine"
    )
    rss_mb = max(app_mb, projector_mb)
    return [result("pipeline_events_per_s", _EVENTS / seconds, "1/s", limit, rss_mb, note)]


def _wait_for_rows(dsn: str, projection: str) -> float:
    """Return the time at which the last event was committed."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        deadline = time.time() + _DEADLINE_S
        conn.execute("LISTEN memferry_applied")
        while time.time() < deadline:
            try:
                row = conn.execute(
                    "SELECT coalesce(sum(seq), 0) FROM memferry.lane WHERE projection = %s",
                    (projection,),
                ).fetchone()
            except psycopg.errors.UndefinedTable:
                row = (0,)
            if row and row[0] >= _EVENTS:
                return time.time()
            for _ in conn.notifies(timeout=0.5, stop_after=1):
                break
    raise TimeoutError(f"only {row} of {_EVENTS} events were applied")
