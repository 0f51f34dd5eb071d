"""What reading and decoding a topic take at least, in a process of its own.

Fetching alone is aiokafka's `getmany` to the topic's end; decoding alone is msgspec's, of the same
records' envelopes and of their data by type. No lane is checked, nothing is handled or stored.
"""

import asyncio
import sys
import time

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.envelope import Envelope
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading import DOMAIN

_SAMPLE = 50_000


class Bare(msgspec.Struct):
    """Records a second of each part alone."""

    fetch: float
    decode: float


async def _bare(settings: Settings) -> Bare:
    topic = kafka_topic(settings.topic, FIRST_GENERATION)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap, auto_offset_reset="none",
        enable_auto_commit=False, max_partition_fetch_bytes=settings.projector.fetch_bytes,
    )  # fmt: skip
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for p in range(settings.kafka.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        wanted, count = sum(ends.values()), 0
        sample: list[bytes] = []
        started = time.perf_counter()
        while count < wanted:
            found = await consumer.getmany(
                timeout_ms=100, max_records=settings.projector.batch_events
            )
            for records in found.values():
                count += len(records)
                if len(sample) < _SAMPLE:
                    sample += [record.value for record in records]
        fetch = count / (time.perf_counter() - started)
    finally:
        await consumer.stop()
    return Bare(fetch, _decoded_per_s(sample))


def _decoded_per_s(values: list[bytes]) -> float:
    envelope = msgspec.json.Decoder(Envelope).decode
    readers = {name: msgspec.json.Decoder(event) for name, (_, event) in DOMAIN.by_type.items()}
    started = time.perf_counter()
    for value in values:
        event = envelope(value)
        readers[event.type].decode(event.data)
    return len(values) / (time.perf_counter() - started)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_bare(given))))
