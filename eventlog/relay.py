"""From the outbox to Kafka, in lane order, for as long as it takes.

The relay only reads the outbox. Where to go on is found in the topic itself, so a lost mark costs
nothing; after any error the outcome of what was in flight is unknown, and a new producer resends
from the first event that the topic does not hold.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import takewhile
from typing import NamedTuple

from aiokafka.errors import KafkaError

from eventlog.outbox.columns import Columns
from eventlog.outbox.contract import OutboxReader
from eventlog.outbox.opening import lock_relay, open_reader
from eventlog.outbox.tail import Tail
from eventlog.producer import BatchRefused
from eventlog.publisher import Lanes, Publisher
from eventlog.record_batches import RecordBatch
from eventlog.refusal import refusal
from eventlog.topic import BrokerUnreachable, TopicHead, heads_of
from schemas import envelope
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings

CHUNK_ROWS = 5_000
"""Rows read at once; a few chunks may be in flight, which bounds the relay's memory."""
_IN_FLIGHT = 3
_FEW_ROWS = 500
"""So few are packed at once; more in a thread, so that acknowledgements are heard meanwhile."""
_BACKOFF_S = (0.1, 5.0)
_POLL_S = (0.002, 0.02)


class OutboxBehindTopic(FerryError):
    """The topic holds events of this source that the outbox does not: an old copy of it."""


class OutboxPruned(FerryError):
    """The topic lost events that were pruned from the outbox since."""


class OutboxForked(FerryError):
    """The topic holds another event under a number that this outbox gave."""


class _Chunk(NamedTuple):
    """Rows as they are sent: the newest one, whether they are control records, how many."""

    newest: int
    control: bool
    size: int
    lanes: Lanes


def require_continuation(reader: OutboxReader, topic_heads: Mapping[int, TopicHead]) -> None:
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
        digest = envelope.digest(row.event) if row is not None else found.digest
        if digest != found.digest or (found.seq == own and heads[partition].digest != digest):
            raise OutboxForked(
                f"event {found.seq} in the topic is not the one in the outbox: two outboxes wrote "
                "as this source",
                where=where,
                remedy=remedy,
            )


def require_unsent_kept(reader: OutboxReader, topic_heads: Mapping[int, TopicHead]) -> None:
    """Check that the outbox still has what the topic lacks; raises OutboxPruned."""
    for partition, head in reader.heads().items():
        sent = topic_heads[partition].seq if partition in topic_heads else 0
        if sent < head.seq and reader.at(partition, sent + 1) is None:
            raise OutboxPruned(
                f"the topic has lost events that it had acknowledged: it ends at seq {sent}, and "
                "the outbox no longer holds what comes next, because it was pruned",
                where=f"outbox {reader.path}, source {reader.identity.source!r}, "
                f"partition {partition}, seq {sent + 1}",
                remedy="restore the topic, or begin a new one from the tables: `memferry audit` "
                "says whether they have everything",
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
        self._reader = open_reader(settings)
        self._on_mark = on_mark
        self._wait_for_row = wait_for_row or self._watch_file
        self._on_trouble = on_trouble
        self._tail = tail
        self._stopping = False
        self._batch_bytes: int | None = None
        self.sent_row = 0

    async def run(self) -> None:
        """Relay until `stop`; brokers may come and go.

        Raises: OutboxBehindTopic, OutboxForked, RelayInUse, TopicRefusesEvent: somebody must
                decide.
        """
        give_back = lock_relay(self._settings, self._reader)
        pause = _BACKOFF_S[0]
        try:
            while not self._stopping:
                before = self.sent_row
                try:
                    await self._serve_one_producer()
                except (KafkaError, TimeoutError, OSError, BrokerUnreachable) as error:
                    if self._on_trouble is not None:
                        self._on_trouble(error)
                    if isinstance(error, BatchRefused) and error.too_large:
                        self._go_on_smaller(error.batch)
                        continue
                    if self.sent_row > before:
                        pause = _BACKOFF_S[0]
                    # Jitter, so that many sources do not come back at once.
                    await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
                    pause = min(pause * 2, _BACKOFF_S[1])
        finally:
            self._reader.close()
            give_back()

    def stop(self) -> None:
        """End after what is in flight; safe to call again."""
        self._stopping = True

    async def _serve_one_producer(self) -> None:
        identity = self._reader.identity
        topic_heads = await heads_of(self._settings, identity.source, identity.generation)
        require_continuation(self._reader, topic_heads)
        require_unsent_kept(self._reader, topic_heads)
        self._mark(self._first_unsent(topic_heads) - 1)
        async with Publisher(self._settings, identity.generation, self._batch_bytes) as publisher:
            await self._pump(publisher)

    def _go_on_smaller(self, refused: RecordBatch) -> None:
        """Send smaller batches from now on; raises TopicRefusesEvent for an event by itself."""
        if refused.count == 1:
            raise refusal(self._settings, self._reader, refused)
        self._batch_bytes = refused.records_bytes // 2

    def _first_unsent(self, topic_heads: Mapping[int, TopicHead]) -> int:
        first = self._reader.last_row() + 1
        for partition in self._reader.heads():
            sent = topic_heads[partition].seq if partition in topic_heads else 0
            row = self._reader.at(partition, sent + 1)
            if row is not None:
                first = min(first, row.row)
        return first

    async def _pump(self, publisher: Publisher) -> None:
        in_flight: deque[tuple[int, list[asyncio.Task[None]]]] = deque()
        handed_over = self.sent_row
        linger_s = self._settings.relay.linger_ms / 1000
        full = True
        while not publisher.spent:
            if linger_s and not full and not self._stopping:
                await self._settle_all(in_flight)
                await asyncio.sleep(linger_s)
            chunk = None if self._stopping else await self._next_chunk(publisher, handed_over)
            if chunk:
                if chunk.control:
                    # A source is known before its events: nothing may overtake a control record.
                    await self._settle_all(in_flight)
                in_flight.append((chunk.newest, await publisher.hand_over(chunk.lanes)))
                handed_over, full = chunk.newest, chunk.size >= CHUNK_ROWS
                while len(in_flight) >= (1 if chunk.control else _IN_FLIGHT):
                    await self._settle(in_flight)
            elif in_flight:
                await self._settle(in_flight)
            elif self._stopping:
                return
            else:
                full = False
                await self._wait_for_row(handed_over)
        await self._settle_all(in_flight)

    async def _next_chunk(self, publisher: Publisher, after: int) -> _Chunk | None:
        newest = self._tail.after(after, CHUNK_ROWS) if self._tail is not None else None
        if newest is not None and len(newest.rows) <= _FEW_ROWS:
            return _packed(publisher, newest)

        def work() -> _Chunk | None:
            found = self._reader.columns(after, CHUNK_ROWS) if newest is None else newest
            return _packed(publisher, found)

        return await asyncio.to_thread(work)

    async def _settle_all(self, in_flight: "deque[tuple[int, list[asyncio.Task[None]]]]") -> None:
        while in_flight:
            await self._settle(in_flight)

    async def _settle(self, in_flight: "deque[tuple[int, list[asyncio.Task[None]]]]") -> None:
        row, tasks = in_flight[0]
        async with asyncio.timeout(self._settings.kafka.timeout_ms / 1000):
            await asyncio.gather(*tasks)
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


def _packed(publisher: Publisher, columns: Columns) -> _Chunk | None:
    if not columns.rows:
        return None
    columns = _until_control(columns)
    control = columns.partitions[0] == CONTROL_PARTITION
    return _Chunk(columns.rows[-1], control, len(columns.rows), publisher.prepare(columns))


def _until_control(columns: Columns) -> Columns:
    """Cut a chunk so that control records and events are never in one."""
    if columns.partitions[0] == CONTROL_PARTITION:
        same = takewhile(lambda partition: partition == CONTROL_PARTITION, columns.partitions)
        return columns.first(len(list(same)))
    if CONTROL_PARTITION in columns.partitions:
        return columns.first(columns.partitions.index(CONTROL_PARTITION))
    return columns
