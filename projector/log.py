"""The log as the read side needs it: partitions read from given offsets, nothing ever reset."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from schemas.errors import FerryError
from schemas.kafka_client import client_options, reach_remedy
from schemas.settings import Settings


class BrokerUnreachable(FerryError):
    """No broker answered within the deadline."""


class TopicMissing(FerryError):
    """Kafka has no such topic."""


class OffsetsGone(FerryError):
    """The topic no longer holds, or does not yet hold, the offset to go on from."""


class Log:
    """One consumer of one topic, outside any consumer group: positions are PostgreSQL's.

    Use `async with`. aiokafka's own defaults would lose events here: `latest` skips, auto commit
    runs ahead of the tables, and iteration swallows an oversized record; so none of them is used.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self.topic = topic
        self._timeout_s = settings.kafka.timeout_ms / 1000
        self._consumer = AIOKafkaConsumer(
            **client_options(settings),
            auto_offset_reset="none",
            enable_auto_commit=False,
            max_partition_fetch_bytes=settings.projector.fetch_bytes,
            request_timeout_ms=settings.kafka.timeout_ms,
            fetch_max_wait_ms=100,
        )
        self.partitions = 0

    async def __aenter__(self) -> "Log":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._consumer.start()
                metadata = await self._consumer._client.fetch_all_metadata()
                found = metadata.partitions_for_topic(self.topic)
                if found:  # its leaders are known then, and no question waits for a retry
                    await self._consumer._client.add_topic(self.topic)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._stop()
            raise self._unreachable(error) from error
        if not found:
            await self._stop()
            raise TopicMissing(
                f"Kafka has no topic {self.topic!r}",
                where=self._settings.kafka.bootstrap,
                remedy="start the app once (the shim makes its topic), or correct `topic`",
            )
        self.partitions = len(found)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        try:
            await asyncio.wait_for(self._consumer.stop(), self._timeout_s)
        except (KafkaError, TimeoutError, OSError):
            return  # the consumer holds nothing that matters: positions are PostgreSQL's

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """Return for each partition its first offset and the one behind its last record."""
        places = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        try:
            async with asyncio.timeout(self._timeout_s):
                starts = await self._consumer.beginning_offsets(places)
                ends = await self._consumer.end_offsets(places)
        except (KafkaError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return {place.partition: (starts[place], ends[place]) for place in places}

    async def start_at(self, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets.

        Raises: OffsetsGone where a partition does not hold its offset: it is never reset.
        """
        bounds = await self.bounds()
        for partition, offset in offsets.items():
            start, end = bounds[partition]
            if not start <= offset <= end:
                raise OffsetsGone(
                    f"the checkpoint is at offset {offset}, the partition holds {start} to {end}",
                    where=f"topic {self.topic}, partition {partition}",
                    remedy="the topic was truncated, recreated or replaced: do not go on from it; "
                    "publish the outbox into a new topic generation and rebuild",
                )
        self._consumer.assign([TopicPartition(self.topic, p) for p in offsets])
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(self.topic, partition), offset)

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from another offset on."""
        self._consumer.seek(TopicPartition(self.topic, partition), offset)

    def lag(self, read: Mapping[int, int]) -> int:
        """Return how many records Kafka holds behind these offsets, as far as it has said."""
        ends = {p: self._consumer.highwater(TopicPartition(self.topic, p)) or 0 for p in read}
        return sum(max(0, end - read[p]) for p, end in ends.items())

    def leave(self, partition: int) -> None:
        """Read a partition no more."""
        self._consumer.pause(TopicPartition(self.topic, partition))

    async def fetch(
        self, limit: int, wait_ms: int
    ) -> dict[int, Sequence["ConsumerRecord[Any, Any]"]]:
        """Return the next records by partition, at most `limit`, after at most `wait_ms`."""
        try:
            found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=limit)
        except OffsetOutOfRangeError as error:
            raise OffsetsGone(
                f"Kafka no longer holds the next offset: {error}",
                where=f"topic {self.topic}",
                remedy="check the topic's retention; its log was cut under the projector",
            ) from error
        return {place.partition: records for place, records in found.items() if records}

    def _unreachable(self, error: BaseException) -> BrokerUnreachable:
        cause = str(error) or type(error).__name__
        return BrokerUnreachable(
            f"Kafka did not answer within {self._settings.kafka.timeout_ms} ms: {cause}",
            where=self._settings.kafka.bootstrap or "`kafka.bootstrap` is empty",
            remedy=reach_remedy(self._settings.kafka),
        )
