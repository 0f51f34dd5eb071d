"""From the outbox to Kafka, in lane order, for as long as it takes.

The relay only reads the outbox. Where to go on is found in the topic itself, so a lost mark costs
nothing; after any error the outcome of what was in flight is unknown, and a new producer resends
from the first event that the topic does not hold.
"""

import asyncio
import fcntl
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from eventlog.outbox.contract import OutboxRow
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.outbox.tail import Tail
from eventlog.publisher import Publisher
from eventlog.topic import BrokerUnreachable, TopicHead, heads_of
from schemas import envelope
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings

CHUNK_ROWS = 5_000
"""Rows read at once; two chunks may be in flight, which bounds the relay's memory."""
_IN_FLIGHT = 2
_BACKOFF_S = (0.1, 5.0)
_POLL_S = (0.002, 0.02)


class OutboxBehindTopic(FerryError):
    """The topic holds events of this source that the outbox does not: an old copy of it."""


class OutboxForked(FerryError):
    """The topic holds another event under a number that this outbox gave."""


class RelayInUse(FerryError):
    """Another relay serves this outbox."""


def require_continuation(reader: SqliteOutboxReader, topic_heads: Mapping[int, TopicHead]) -> None:
    """Check that an outbox continues what the topic holds of its source.

    Raises: OutboxBehindTopic or OutboxForked, naming the lane.
    """
    heads = reader.heads()
    for partition, found in topic_heads.items():
        own = heads[partition].seq if partition in heads else 0
        lane = "control topic" if partition == CONTROL_PARTITION else f"partition {partition}"
        where = f"outbox {reader.path}, source {reader.identity.source!r}, {lane}"
        remedy = (
            "stop this instance; start from the newest outbox file of this source, or retire the "
            "source and begin a new one (`source` and `outbox.path` in the settings)"
        )
        if found.seq > own:
            raise OutboxBehindTopic(
                f"the topic holds events up to seq {found.seq}, the outbox ends at {own}: "
                "it is an old copy",
                where=where,
                remedy=remedy,
            )
        row = reader.at(partition, found.seq)
        if row is not None and envelope.digest(row.event) != found.digest:
            raise OutboxForked(
                f"event {found.seq} in the topic is not the one in the outbox: two outboxes wrote "
                "as this source",
                where=where,
                remedy=remedy,
            )


class Relay:
    """One outbox's way into Kafka. `on_mark(row)` is told of every newest acknowledged row.

    `tail` is the outbox's own window on its newest rows, where it is in this process.
    `wait_for_row(row)` returns when a row behind `row` may exist; the default looks at the file.
    """

    def __init__(
        self,
        settings: Settings,
        on_mark: Callable[[int], None],
        wait_for_row: Callable[[int], Awaitable[object]] | None = None,
        on_trouble: Callable[[BaseException], None] | None = None,
        tail: Tail | None = None,
    ) -> None:
        self._settings = settings
        self._reader = SqliteOutboxReader(settings.outbox_path)
        self._on_mark = on_mark
        self._wait_for_row = wait_for_row or self._watch_file
        self._on_trouble = on_trouble
        self._tail = tail
        self._stopping = False
        self.sent_row = 0

    async def run(self) -> None:
        """Relay until `stop`; brokers may come and go.

        Raises: OutboxBehindTopic, OutboxForked, RelayInUse: somebody must decide.
        """
        lock = _lock(self._settings.outbox_path)
        pause = _BACKOFF_S[0]
        try:
            while not self._stopping:
                try:
                    await self._serve_one_producer()
                    pause = _BACKOFF_S[0]
                except (KafkaError, TimeoutError, OSError, BrokerUnreachable) as error:
                    if self._on_trouble is not None:
                        self._on_trouble(error)
                    # Jitter, so that many sources do not come back at once.
                    await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
                    pause = min(pause * 2, _BACKOFF_S[1])
        finally:
            self._reader.close()
            os.close(lock)

    def stop(self) -> None:
        """End after what is in flight; safe to call again."""
        self._stopping = True

    async def _serve_one_producer(self) -> None:
        identity = self._reader.identity
        topic_heads = await heads_of(self._settings, identity.source, identity.generation)
        require_continuation(self._reader, topic_heads)
        self._mark(self._first_unsent(topic_heads) - 1)
        async with Publisher(self._settings, identity.generation) as publisher:
            await self._pump(publisher)

    def _first_unsent(self, topic_heads: Mapping[int, TopicHead]) -> int:
        first = self._reader.last_row() + 1
        for partition in self._reader.heads():
            sent = topic_heads[partition].seq if partition in topic_heads else 0
            row = self._reader.at(partition, sent + 1)
            if row is not None:
                first = min(first, row.row)
        return first

    async def _pump(self, publisher: Publisher) -> None:
        in_flight: deque[tuple[int, list[asyncio.Future[Any]]]] = deque()
        handed_over = self.sent_row
        while True:
            rows = [] if self._stopping else self._rows_after(handed_over)
            if rows:
                rows = _until_control(rows)
                if any(row.partition == CONTROL_PARTITION for row in rows):
                    # A source is known before its events: nothing may overtake a control record.
                    while in_flight:
                        await self._settle(in_flight)
                in_flight.append((rows[-1].row, await publisher.send(rows)))
                handed_over = rows[-1].row
                alone = rows[-1].partition == CONTROL_PARTITION
                while len(in_flight) >= (1 if alone else _IN_FLIGHT):
                    await self._settle(in_flight)
            elif in_flight:
                await self._settle(in_flight)
            elif self._stopping:
                return
            else:
                await self._wait_for_row(handed_over)

    def _rows_after(self, row: int) -> list[OutboxRow]:
        rows = self._tail.after(row, CHUNK_ROWS) if self._tail is not None else None
        return self._reader.rows(row, CHUNK_ROWS) if rows is None else rows

    async def _settle(self, in_flight: deque[tuple[int, list["asyncio.Future[Any]"]]]) -> None:
        row, futures = in_flight[0]
        async with asyncio.timeout(self._settings.kafka.timeout_ms / 1000):
            await asyncio.gather(*futures)
        in_flight.popleft()
        self._mark(row)

    def _mark(self, row: int) -> None:
        self.sent_row = row
        self._on_mark(row)

    async def _watch_file(self, row: int) -> None:
        """Return when the writer has committed again: SQLite's own change counter, asked often."""
        pause = _POLL_S[0]
        version = self._reader.changed()
        if self._reader.last_row() > row:
            return
        while not self._stopping and self._reader.changed() == version:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_S[1])


def _until_control(rows: list[OutboxRow]) -> list[OutboxRow]:
    """Cut a chunk so that control records and events are never in one."""
    first = rows[0].partition == CONTROL_PARTITION
    for place, row in enumerate(rows):
        if (row.partition == CONTROL_PARTITION) != first:
            return rows[:place]
    return rows


def _lock(outbox: Path) -> int:
    handle = os.open(f"{outbox}.relay", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise RelayInUse(
            "another relay serves this outbox",
            where=str(outbox),
            remedy='stop it, or set `relay.mode = "process"` where the app should not relay itself',
        ) from error
    return handle
