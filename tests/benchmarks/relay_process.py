"""A relay in a process of its own: settings as JSON on standard input, figures on output."""

import asyncio
import json
import sys
import time

from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.relay import Relay
from schemas.settings import Settings
from tests.benchmarks.result import peak_rss_mb
from tests.benchmarks.workload import settings_for


async def relay_all(settings: Settings, last_row: int) -> float:
    """Relay an outbox to its end; return the seconds from start to the last acknowledgement."""
    done = asyncio.Event()
    relay = Relay(settings, lambda row: done.set() if row >= last_row else None)
    started = time.perf_counter()
    task = asyncio.create_task(relay.run())
    await done.wait()
    seconds = time.perf_counter() - started
    relay.stop()
    await task
    return seconds


def _run() -> dict[str, float]:
    given = json.load(sys.stdin)
    settings = settings_for(
        given["name"], given["kafka"], "", given["directory"], given["partitions"]
    )
    started = time.perf_counter()
    reader = SqliteOutboxReader(settings.outbox_path)
    last_row = reader.last_row()
    open_s = time.perf_counter() - started
    reader.close()
    cpu = time.process_time()
    seconds = asyncio.run(relay_all(settings, last_row))
    return {
        "events": last_row, "seconds": seconds, "cpu_s": time.process_time() - cpu,
        "open_s": open_s, "rss_mb": peak_rss_mb(),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_run()))
