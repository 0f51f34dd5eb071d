"""Topics as a test wants them, and what is in them."""

import asyncio
import socket
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import ConsumerRecord

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.publisher import Publisher
from schemas import envelope
from schemas.control import ControlEvent, decode_control
from schemas.lane import CONTROL_PARTITION, LaneCheck, LaneId, genesis
from schemas.position import FIRST_GENERATION, control_topic, kafka_topic
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App

T = TypeVar("T")
Lanes = dict[int, list[bytes]]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asyncio.wait_for(work, DEADLINE_S)).result()


def make_topic(settings: Settings, name: str, partitions: int, **changes: str) -> None:
    """Make a topic as memferry would, but for `changes` (dots as underscores)."""
    configs = topic_configs(settings, changes)

    async def work() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
        await admin.start()
        try:
            copies = settings.kafka.replication
            wanted = NewTopic(name, partitions, copies, topic_configs=configs)
            made = await admin.create_topics([wanted])
            assert all(answer[1] == 0 for answer in made.topic_errors), made
        finally:
            await admin.close()

    run(work())


def make_topics(settings: Settings) -> None:
    """Make the topic and its control topic."""
    make_topic(settings, data_topic(settings), settings.kafka.partitions)
    make_topic(settings, control_topic(settings.topic), 1)


def data_topic(settings: Settings) -> str:
    return kafka_topic(settings.topic, FIRST_GENERATION)


def describe(settings: Settings, name: str) -> tuple[int, dict[str, str]]:
    """Return how many partitions a topic has, and its settings."""

    async def work() -> tuple[int, dict[str, str]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
        await admin.start()
        try:
            (topic,) = await admin.describe_topics([name])
            resource = ConfigResource(ConfigResourceType.TOPIC, name)
            (answer,) = await admin.describe_configs([resource])
            return len(topic["partitions"]), {e[0]: e[1] for e in answer.resources[0][4]}
        finally:
            await admin.close()

    return run(work())


def topic_configs(settings: Settings, changes: dict[str, str]) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(settings.kafka.max_event_bytes + 512),
    } | {setting.replace("_", "."): value for setting, value in changes.items()}


def alter_topic(settings: Settings, name: str, **changes: str) -> None:
    """Give a topic other settings behind memferry's back."""
    configs = topic_configs(settings, changes)

    async def work() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
        await admin.start()
        try:
            resource = ConfigResource(ConfigResourceType.TOPIC, name, configs)
            (answer,) = await admin.alter_configs([resource])
            assert all(code == 0 for code, *_ in answer.resources), answer
        finally:
            await admin.close()

    run(work())


def records_of(settings: Settings) -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
    """Return every record: partition → records; the control topic under CONTROL_PARTITION."""

    async def work() -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
        places = {TopicPartition(control_topic(settings.topic), 0): CONTROL_PARTITION}
        for partition in range(settings.kafka.partitions):
            places[TopicPartition(data_topic(settings), partition)] = partition
        found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {p: [] for p in places.values()}
        async with AIOKafkaConsumer(
            bootstrap_servers=settings.kafka.bootstrap, auto_offset_reset="none"
        ) as consumer:
            consumer.assign(list(places))
            ends = await consumer.end_offsets(list(places))
            for place in places:
                consumer.seek(place, 0)
            wanted = sum(ends.values())
            while sum(map(len, found.values())) < wanted:
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[places[place]] += records
        return found

    return run(work())


def events_of(settings: Settings) -> Lanes:
    """Return the bytes of every lane of the source, each event once, by the lanes' own rules.

    A gap, a broken chain, or a resend of other bytes is an error.
    """
    lanes: Lanes = {}
    for partition, records in records_of(settings).items():
        lane = LaneId(settings.source, FIRST_GENERATION, partition)
        check = LaneCheck(lane, genesis(lane))
        kept: list[bytes] = []
        for record in records:
            assert record.value is not None
            event = envelope.decode(record.value)
            seq = int(event.seq)
            if check.admit(record.value, seq, event.epoch, event.chain, record.offset):
                kept.append(record.value)
            else:
                assert kept[seq - 1] == record.value
        if kept:
            lanes[partition] = kept
    return lanes


def control_events(settings: Settings) -> list[ControlEvent]:
    """Return what the source's own lane in the control topic says."""
    found = [envelope.decode(value) for value in events_of(settings).get(CONTROL_PARTITION, [])]
    return [decode_control(event.type, event.data) for event in found]


def by_lane(rows: Iterable[OutboxRow]) -> Lanes:
    """Return the bytes of an outbox's lanes."""
    lanes: Lanes = {}
    for row in rows:
        lanes.setdefault(row.partition, []).append(row.event)
    return lanes


def publish(settings: Settings, rows: list[OutboxRow]) -> None:
    """Send rows with a producer's life of their own."""

    async def work() -> None:
        async with Publisher(settings, FIRST_GENERATION) as publisher:
            await asyncio.gather(*await publisher.send(rows))

    run(work())


def send_raw(settings: Settings, topic: str, partition: int, values: Iterable[bytes]) -> None:
    """Put bytes that are not ours into a topic."""

    async def work() -> None:
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
            for value in values:
                await producer.send_and_wait(topic, value, partition=partition)

    run(work())


def app_without_relay(settings: Settings) -> App:
    """Return an app on the outbox that the settings name; nothing reaches Kafka."""
    identity = OutboxIdentity(
        settings.source, settings.topic, FIRST_GENERATION, settings.kafka.partitions
    )
    return App(
        settings.outbox_path, identity=identity, max_event_bytes=settings.kafka.max_event_bytes
    )


def with_kafka(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, **changes)
    )


@contextmanager
def silent_port() -> Iterator[str]:
    """Yield the address of a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    """Return the address of a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
