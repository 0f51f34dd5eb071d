"""Topics written by hand: whatever bytes a test wants, in the order it wants."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from eventlog.outbox.contract import OutboxRow
from schemas.lane import CONTROL_PARTITION
from schemas.position import FIRST_GENERATION, control_topic, kafka_topic
from schemas.settings import Settings

T = TypeVar("T")
_DEADLINE_S = 20


class Broker:
    """One plain producer and one admin client, in a thread, for tests in any event loop."""

    def __init__(self, bootstrap: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._admin, self._producer = self._do(self._start(bootstrap))

    async def _start(self, bootstrap: str) -> tuple[AIOKafkaAdminClient, AIOKafkaProducer]:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4 * 1024 * 1024)
        await admin.start()
        await producer.start()
        return admin, producer

    def make_topics(self, settings: Settings, *, control: bool = True) -> None:
        """The topic and, unless it is there, its control topic take records."""
        topics = {kafka_topic(settings.topic, FIRST_GENERATION): settings.kafka.partitions}
        if control:
            topics[control_topic(settings.topic)] = 1
        self._do(self._make(topics))

    def drop_topic(self, settings: Settings) -> None:
        """The topic, not its control topic, is gone."""
        self._do(self._admin.delete_topics([kafka_topic(settings.topic, FIRST_GENERATION)]))

    def publish(self, settings: Settings, rows: Sequence[OutboxRow]) -> None:
        """These rows of an outbox are behind whatever their lanes' topics hold."""
        control = [row.event for row in rows if row.partition == CONTROL_PARTITION]
        if control:
            self.send_control(settings, control)
        for partition in sorted({row.partition for row in rows} - {CONTROL_PARTITION}):
            self.send(settings, partition, [r.event for r in rows if r.partition == partition])

    def send(
        self,
        settings: Settings,
        partition: int,
        values: Iterable[bytes | None],
        stamp_ms: int | None = None,
    ) -> None:
        """These bytes are in one partition, in this order; sent then, as Kafka has it."""
        topic = kafka_topic(settings.topic, FIRST_GENERATION)
        self._do(self._send(topic, partition, values, stamp_ms))

    def send_control(self, settings: Settings, values: Iterable[bytes | None]) -> None:
        """These bytes are in the control topic, in this order."""
        self._do(self._send(control_topic(settings.topic), 0, values))

    def cut(self, settings: Settings, partition: int, first: int) -> None:
        """One partition holds nothing before this offset any more."""
        place = TopicPartition(kafka_topic(settings.topic, FIRST_GENERATION), partition)
        self._do(self._admin.delete_records({place: RecordsToDelete(first)}))

    def close(self) -> None:
        async def stop() -> None:
            await self._producer.stop()
            await self._admin.close()

        self._do(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()

    async def _make(self, topics: dict[str, int]) -> None:
        keep = {"retention.ms": "-1", "max.message.bytes": "1000512"}
        made = await self._admin.create_topics(
            [NewTopic(name, count, 1, topic_configs=keep) for name, count in topics.items()]
        )
        assert all(answer[1] == 0 for answer in made.topic_errors), made
        for name in topics:
            await self._producer.partitions_for(name)

    async def _send(
        self,
        topic: str,
        partition: int,
        values: Iterable[bytes | None],
        stamp_ms: int | None = None,
    ) -> None:
        waiting = [
            await self._producer.send(
                topic, value, key=b"key", partition=partition, timestamp_ms=stamp_ms
            )
            for value in values
        ]
        await asyncio.gather(*waiting)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(work, _DEADLINE_S), self._loop
        ).result()
