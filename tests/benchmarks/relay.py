"""From a full outbox into Kafka, beside what Kafka takes of the same batches, packed beforehand."""

import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compose.stack import ephemeral_stack
from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.publisher import Publisher
from eventlog.recorder import Recorder
from eventlog.topic import ensure_topics
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, result
from tests.benchmarks.workload import settings_for, trade_events

_EVENTS = 1_000_000
_PACKED = 20
_ROWS = 5_000


def fill_outbox(settings: Settings, partitions: int, events: int) -> int:
    """Record so many trade events into an outbox, durable; return its last row."""
    identity = OutboxIdentity(settings.source, settings.topic, 1, partitions)
    outbox = SqliteOutbox(settings.outbox_path, identity)
    recorder = Recorder(outbox, DOMAIN, settings.kafka.max_event_bytes, 50_000)
    recorder.add_store("trade", {})
    for event in trade_events(events):
        recorder.record(event)
    recorder.close(60)
    reader = SqliteOutboxReader(settings.outbox_path)
    row = reader.last_row()
    reader.close()
    return row


async def _send_packed(settings: Settings) -> float:
    """Return events/s of batches that were read and packed before: Kafka's own part."""
    reader = SqliteOutboxReader(settings.outbox_path)
    async with Publisher(settings, 1) as publisher:
        packed = [
            publisher.prepare(reader.columns(chunk * _ROWS, _ROWS)) for chunk in range(_PACKED)
        ]
        started = time.perf_counter()
        tasks = [task for lanes in packed for task in await publisher.hand_over(lanes)]
        await asyncio.gather(*tasks)
        seconds = time.perf_counter() - started
    reader.close()
    return _PACKED * _ROWS / seconds


def from_full_outbox() -> list[Result]:
    """Events a second from a full outbox until Kafka acknowledged the last one."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, "", directory, 4)
        partitions = asyncio.run(ensure_topics(settings, 1))
        last_row = fill_outbox(settings, partitions, _EVENTS)
        size = Path(settings.outbox_path).stat().st_size
        given = {
            "name": name, "kafka": endpoints.kafka, "directory": directory,
            "partitions": partitions,
        }  # fmt: skip
        finished = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.relay_process"],
            input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        figures = json.loads(finished.stdout)
        limit = asyncio.run(_send_packed(settings))
    note = (
        f"{size / last_row:.0f} bytes an event; {figures['cpu_s'] / last_row * 1e6:.1f} us of the "
        f"relay's processor each; a million unsent found in {figures['open_s'] * 1_000:.0f} ms; "
        "limit: Kafka alone, of batches packed before; MB: the relay's own process"
    )
    rate = figures["events"] / figures["seconds"]
    return [result("relay_events_per_s", rate, "1/s", limit, figures["rss_mb"], note)]
