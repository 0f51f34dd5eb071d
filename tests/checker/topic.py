"""The log as Kafka has it: every record of every partition, from offset 0 to the end."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.checker.event import Record
from tests.checker.verdict import Finding

STALLED_S = 30.0
FETCH_BYTES = 8 * 1024 * 1024


class TopicUnreadable(Exception):
    """The topic is not there, or its records do not come."""


async def read_topic(bootstrap: str, topic: str, take: Callable[[Record], None]) -> list[Finding]:
    """Hand every record up to the ends as they are now to `take`, each partition in order.

    Returns: a finding for each partition whose first records the broker has deleted.
    Raises:  TopicUnreadable where no record comes for STALLED_S seconds, or there is no such topic.
    """
    places = [TopicPartition(topic, p) for p in await _partitions(bootstrap, topic)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign(places)
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, begins[place])
        await _drain(consumer, ends, take)
    finally:
        await consumer.stop()
    return [
        Finding("lost", f"partition {place.partition}, offsets 0 to {begins[place] - 1}",
                "the broker has deleted them: the topic's retention is not infinite")
        for place in places if begins[place] > 0
    ]  # fmt: skip


async def _drain(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], take: Callable[[Record], None]
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STALLED_S
    while True:
        behind = [place for place in ends if await consumer.position(place) < ends[place]]
        if not behind:
            return
        consumer.pause(*(place for place in ends if place not in behind))
        batches = await consumer.getmany(*behind, timeout_ms=1_000, max_records=5_000)
        for place, messages in batches.items():
            for message in messages:
                if message.offset < ends[place]:
                    take(Record(place.partition, message.offset, message.key, message.value))
        if batches:
            deadline = loop.time() + STALLED_S
        elif loop.time() > deadline:
            raise TopicUnreadable(f"no records for {STALLED_S:.0f} s, behind in {behind}")


async def _partitions(bootstrap: str, topic: str) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"] or not described["partitions"]:
        raise TopicUnreadable(f"topic {topic}: Kafka error {described['error_code']}")
    return sorted(partition["partition"] for partition in described["partitions"])
