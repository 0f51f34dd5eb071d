"""Rows of an outbox into Kafka: whole batches, lane order, idempotent, a deadline on every call."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from eventlog.outbox.contract import OutboxRow
from schemas import envelope
from schemas.lane import CONTROL_PARTITION
from schemas.position import control_topic, kafka_topic
from schemas.settings import Settings

HEADERS = [("content-type", envelope.CONTENT_TYPE)]
"""CloudEvents over Kafka, structured mode: this header tells a reader what the value is."""
_REQUEST_SLACK_BYTES = 64 * 1024


class Publisher:
    """One producer's life. After any error it must be thrown away: what was sent is unknown.

    aiokafka neither raises the producer epoch nor repairs its sequence after an error, so a
    producer that failed once may refuse or reorder what follows.
    """

    def __init__(self, settings: Settings, generation: int) -> None:
        kafka = settings.kafka
        self._data = kafka_topic(settings.topic, generation)
        self._control = control_topic(settings.topic)
        self._timeout_s = kafka.timeout_ms / 1000
        compression = settings.relay.compression
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type=None if compression == "none" else compression,
            # A batch is one message to the topic; a single event larger than this goes alone.
            max_batch_size=min(settings.relay.batch_bytes, kafka.max_event_bytes),
            max_request_size=max(kafka.max_event_bytes, settings.relay.batch_bytes)
            + _REQUEST_SLACK_BYTES,
            request_timeout_ms=kafka.timeout_ms,
            linger_ms=0,
        )

    async def __aenter__(self) -> "Publisher":
        try:
            await asyncio.wait_for(self._producer.start(), self._timeout_s)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, _: object, error: object, __: object) -> None:
        if error is not None:
            # Where a batch was lost, those behind it must not follow: the lane would have a hole.
            self._producer._sender.sender_task.cancel()
        await self._stop()

    async def _stop(self) -> None:
        # stop() waits for brokers that may be gone (aiokafka#1101); what it would flush is resent.
        try:
            await asyncio.wait_for(self._producer.stop(), self._timeout_s)
        except (KafkaError, TimeoutError, OSError):
            return

    async def send(self, rows: Sequence[OutboxRow]) -> list["asyncio.Future[Any]"]:
        """Hand rows over, each lane in order; the futures are done once Kafka has acknowledged."""
        by_partition: dict[int, list[OutboxRow]] = {}
        for row in rows:
            by_partition.setdefault(row.partition, []).append(row)
        futures: list[asyncio.Future[Any]] = []
        # One deadline for all, and no task of its own for each: so the lanes go in one request,
        # and a mark in every lane arrives at once.
        async with asyncio.timeout(self._timeout_s):
            for partition, lane in by_partition.items():
                futures += await self._send_lane(self._place(partition), lane)
        return futures

    def _place(self, partition: int) -> tuple[str, int]:
        return (self._control, 0) if partition == CONTROL_PARTITION else (self._data, partition)

    async def _send_lane(
        self, place: tuple[str, int], rows: Sequence[OutboxRow]
    ) -> list["asyncio.Future[Any]"]:
        futures: list[asyncio.Future[Any]] = []
        topic, partition = place
        batch = self._producer.create_batch()
        for row in rows:
            key = row.stream.encode()
            if batch.append(key=key, value=row.event, timestamp=None, headers=HEADERS) is None:
                futures.append(await self._hand_over(batch, topic, partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=row.event, timestamp=None, headers=HEADERS)
        futures.append(await self._hand_over(batch, topic, partition))
        return futures

    async def _hand_over(self, batch: Any, topic: str, partition: int) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = await self._producer.send_batch(
            batch, topic, partition=partition
        )
        return future
