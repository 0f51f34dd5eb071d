"""Rows of an outbox into Kafka: whole batches, lane order, idempotent, a deadline on every call."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from eventlog.outbox.columns import Columns, columns_of
from eventlog.outbox.contract import OutboxRow
from eventlog.producer import Producer
from eventlog.record_batches import RecordBatch, batches_of, lanes_of
from schemas.kafka_client import client_options
from schemas.lane import CONTROL_PARTITION
from schemas.position import control_topic, kafka_topic
from schemas.settings import Settings

Lanes: TypeAlias = Mapping[TopicPartition, Sequence[RecordBatch]]
"""What is sent together: by lane, in order."""


class Publisher:
    """One producer's life. After any error it must be thrown away: what was sent is unknown.

    `batch_bytes` bounds a batch where the settings' own bound is more than the topic takes.
    """

    def __init__(self, settings: Settings, generation: int, batch_bytes: int | None = None) -> None:
        kafka, relay = settings.kafka, settings.relay
        self._data = kafka_topic(settings.topic, generation)
        self._control = control_topic(settings.topic)
        self._timeout_s = kafka.timeout_ms / 1000
        self._compression = relay.compression
        # A batch is one message to the topic; a single event larger than this goes alone.
        self._limit = min(batch_bytes or relay.batch_bytes, kafka.max_event_bytes)
        self._producer = Producer(client_options(settings), kafka.timeout_ms)

    async def __aenter__(self) -> "Publisher":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._producer.start([self._data, self._control])
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        # A connection may not close while brokers are gone; what was on the way is resent.
        try:
            await asyncio.wait_for(self._producer.stop(), self._timeout_s)
        except (KafkaError, TimeoutError, OSError):
            return

    @property
    def spent(self) -> bool:
        """Whether it is time for a new producer."""
        return self._producer.spent

    async def send(self, rows: Sequence[OutboxRow]) -> list["asyncio.Task[None]"]:
        """Hand rows over, each lane in order; the tasks are done once Kafka has acknowledged.

        Raises: KafkaError, TimeoutError.
        """
        return await self.hand_over(self.prepare(columns_of(rows)))

    def prepare(self, columns: Columns) -> Lanes:
        """Return rows as the batches of their lanes; may be called in any thread."""
        return {
            self._place(lane.partition): batches_of(lane, self._limit, self._compression)
            for lane in lanes_of(columns)
        }

    async def hand_over(self, lanes: Lanes) -> list["asyncio.Task[None]"]:
        """Send prepared batches; see `send`."""
        # One request a leader, all lanes in it: a mark in every lane arrives at once.
        async with asyncio.timeout(self._timeout_s):
            return await self._producer.send(lanes)

    def _place(self, partition: int) -> TopicPartition:
        if partition == CONTROL_PARTITION:
            return TopicPartition(self._control, 0)
        return TopicPartition(self._data, partition)
