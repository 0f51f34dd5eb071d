"""From a full outbox into Kafka, beside aiokafka's own `send_batch` of the same bytes."""

import asyncio
import secrets
import tempfile
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from compose.stack import ephemeral_stack
from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.publisher import HEADERS
from eventlog.recorder import Recorder
from eventlog.relay import Relay
from eventlog.topic import ensure_topics
from schemas.position import kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, peak_rss_mb, result
from tests.benchmarks.workload import settings_for, trade_events

_EVENTS = 300_000


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


async def _raw_send(settings: Settings, partitions: int) -> float:
    """Return events/s of bare create_batch/send_batch of an outbox's bytes, compressed alike."""
    reader = SqliteOutboxReader(settings.outbox_path)
    rows = reader.rows(0, 50_000)
    reader.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap, enable_idempotence=True, acks="all",
        compression_type=settings.relay.compression, max_batch_size=settings.relay.batch_bytes,
    )  # fmt: skip
    await producer.start()
    topic = kafka_topic(settings.topic, 1)
    started = time.perf_counter()
    futures = []
    for partition in range(partitions):
        batch = producer.create_batch()
        for row in rows[partition::partitions]:
            key = row.stream.encode()
            if batch.append(key=key, value=row.event, timestamp=None, headers=HEADERS) is None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=row.event, timestamp=None, headers=HEADERS)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*futures)
    seconds = time.perf_counter() - started
    await producer.stop()
    return len(rows) / seconds


def from_full_outbox() -> list[Result]:
    """Events a second from a full outbox until Kafka acknowledged the last one."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, endpoints.postgres, directory, 4)
        partitions = asyncio.run(ensure_topics(settings, 1))
        last_row = fill_outbox(settings, partitions, _EVENTS)
        size = Path(settings.outbox_path).stat().st_size
        seconds = asyncio.run(relay_all(settings, last_row))
        rss_mb = peak_rss_mb()
        limit = asyncio.run(_raw_send(settings, partitions))
    note = f"{size / last_row:.0f} bytes an event; limit: bare send_batch of the same bytes"
    return [result("relay_events_per_s", last_row / seconds, "1/s", limit, rss_mb, note)]
