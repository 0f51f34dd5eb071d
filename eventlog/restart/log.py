"""Records of a topic, from given offsets to its present end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from eventlog.topic import unreachable
from schemas.errors import FerryError
from schemas.kafka_client import client_options
from schemas.settings import Settings

_RECORDS = 10_000


class LogCut(FerryError):
    """The topic does not hold an offset from which memory would have to be read."""


async def read_log(
    settings: Settings,
    topic: str,
    offsets: Mapping[int, int],
    take: Callable[["ConsumerRecord[bytes, bytes]"], None],
) -> dict[int, int]:
    """Hand every record from `offsets` to a Kafka topic's present end to `take`, in lane order.

    Returns the offsets behind the last ones. Raises: LogCut, BrokerUnreachable where Kafka says
    nothing for `kafka.timeout_ms`; whatever `take` raises.
    """
    timeout_s = settings.kafka.timeout_ms / 1000
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_partition_fetch_bytes=settings.projector.fetch_bytes,
        request_timeout_ms=settings.kafka.timeout_ms,
    )
    try:
        async with asyncio.timeout(timeout_s):
            await consumer.start()
        places = [TopicPartition(topic, partition) for partition in offsets]
        async with asyncio.timeout(timeout_s):
            await consumer._client.fetch_all_metadata()
            starts = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
        for place in places:
            _require_within(place, offsets[place.partition], starts[place], ends[place])
        left = {place: ends[place] for place in places if offsets[place.partition] < ends[place]}
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, offsets[place.partition])
        while left:
            found: dict[Any, Any] = await consumer.getmany(
                timeout_ms=settings.kafka.timeout_ms, max_records=_RECORDS
            )
            if not found:
                raise TimeoutError(f"no records of {topic}")
            for place, records in found.items():
                for record in records:
                    take(record)
                if place in left and records[-1].offset + 1 >= left[place]:
                    del left[place]
                    consumer.pause(place)
        return {place.partition: ends[place] for place in places}
    except OffsetOutOfRangeError as error:
        raise LogCut(
            f"Kafka no longer holds the next offset: {error}",
            where=f"topic {topic}",
            remedy="check the topic's retention: its log was cut while it was read",
        ) from error
    except (KafkaError, TimeoutError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        await _stop(consumer, timeout_s)


def _require_within(place: TopicPartition, offset: int, start: int, end: int) -> None:
    if not start <= offset <= end:
        raise LogCut(
            f"memory is to be read from offset {offset}, the partition holds {start} to {end}",
            where=f"topic {place.topic}, partition {place.partition}",
            remedy="the topic was cut, recreated or replaced; restore it, or start from an outbox "
            "file that holds everything",
        )


async def _stop(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(consumer.stop(), timeout_s)
    except (KafkaError, TimeoutError, OSError):
        return  # it holds nothing that matters
