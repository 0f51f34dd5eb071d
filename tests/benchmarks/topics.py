"""Topics as an app and its relay leave them behind: recorded, durable, sent, a part of it twice."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable

import msgspec

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.publisher import Publisher
from eventlog.recorder import Recorder
from eventlog.shim import attach
from schemas.settings import Settings
from schemas.trading import DOMAIN

_CHUNK_ROWS = 5_000
_TWICE = 50
"""One row in so many is sent again: 2 %, in runs, as after an answer that was lost."""


def fill_topic(settings: Settings, *parts: Iterable[msgspec.Struct]) -> int:
    """Fill a new topic with events of a registered source; return how many it has twice.

    Each part is recorded by an app that begins with an empty memory, and sent before the next one.
    """
    attach(settings).close()  # makes the topics and opens the source
    twice = row = 0
    for events in parts:
        record_all(settings, events)
        more, row = asyncio.run(_send(settings, row))
        twice += more
    return twice


def record_all(settings: Settings, events: Iterable[msgspec.Struct]) -> None:
    """Record events into the settings' outbox; they are durable behind this."""
    identity = OutboxIdentity(settings.source, settings.topic, 1, settings.kafka.partitions)
    outbox = SqliteOutbox(settings.outbox_path, identity)
    recorder = Recorder(outbox, DOMAIN, settings.kafka.max_event_bytes, 50_000)
    for kind in DOMAIN.kinds:
        windowed = kind.tables[0].windowed
        recorder.add_store(kind.name, defaultdict(lambda: deque(maxlen=50)) if windowed else {})
    for event in events:
        recorder.record(event)
    recorder.close(120)


async def _send(settings: Settings, row: int) -> tuple[int, int]:
    """Send what is behind a row; return how many records went twice, and the last row."""
    reader = SqliteOutboxReader(settings.outbox_path)
    twice = 0
    async with Publisher(settings, 1) as publisher:
        while (columns := reader.columns(row, _CHUNK_ROWS)).rows:
            again = reader.columns(columns.rows[-1] - len(columns.rows) // _TWICE, _CHUNK_ROWS)
            again = again.first(len(columns.rows) // _TWICE)
            for part in (columns, again):
                if part.rows:
                    tasks = await publisher.hand_over(publisher.prepare(part))
                    await asyncio.gather(*tasks)
            twice += len(again.rows)
            row = columns.rows[-1]
    reader.close()
    return twice, row
