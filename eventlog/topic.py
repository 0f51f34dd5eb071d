"""The topic as the write side needs it: made, verified, and asked how far a source has come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from schemas import envelope
from schemas.control import DECISIONS_SOURCE
from schemas.errors import FerryError, SettingsInvalid
from schemas.kafka_client import client_options, reach_remedy
from schemas.lane import CONTROL_PARTITION
from schemas.position import control_topic, kafka_topic
from schemas.settings import Settings

_UNKNOWN = 3
_ASK_AGAIN_S = 0.02
_EXISTS = 36  # Kafka: TOPIC_ALREADY_EXISTS
_BATCH_OVERHEAD_BYTES = 512
"""What Kafka's batch and record headers add around one event at most, key and header included."""
_FLUSH = "flush.messages"
_IN_SYNC = "min.insync.replicas"
_SAFE_COPIES = 3
"""With so many copies two must be in sync: then one broker may fail without loss or standstill."""
_LOOK_BACK = 2_000
"""Records read back at first to find a source's last event; doubled until one is found."""


class BrokerUnreachable(FerryError):
    """No broker answered within the deadline."""


class TopicUnsafe(FerryError):
    """The topic would lose events: it may not be the truth with these settings."""


class TopicHead(NamedTuple):
    """The newest event of a lane that the topic holds: its number and SHA-256 in hex."""

    seq: int
    digest: str


def require_source(settings: Settings) -> None:
    """Check that the settings name a source and brokers, before anything waits for either."""
    if not settings.source or settings.source == DECISIONS_SOURCE:
        raise SettingsInvalid(
            f"`source` is {settings.source!r}: every writing instance needs a name of its own",
            remedy='set source = "NAME" in the settings file, or MEMFERRY_SOURCE',
        )
    if not settings.kafka.bootstrap:
        raise SettingsInvalid(
            "`kafka.bootstrap` is empty: it is not known where Kafka is",
            remedy="set MEMFERRY_KAFKA_BOOTSTRAP; `memferry stack up` starts one and prints it",
        )


async def ensure_topics(settings: Settings, generation: int) -> int:
    """Make the topic and its control topic where they are missing; return the partition count.

    Raises: TopicUnsafe where a setting of an existing topic could lose or refuse events,
            BrokerUnreachable after `kafka.timeout_ms`.
    """
    data, control = kafka_topic(settings.topic, generation), control_topic(settings.topic)
    kafka = settings.kafka
    keep = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(kafka.max_event_bytes + _BATCH_OVERHEAD_BYTES),
    }
    if kafka.replication >= _SAFE_COPIES:
        keep[_IN_SYNC] = "2"
    async with _admin(settings) as admin:
        made = await admin.create_topics(
            [
                NewTopic(data, kafka.partitions, kafka.replication, topic_configs=keep),
                NewTopic(control, 1, kafka.replication, topic_configs=keep),
            ]
        )
        there = {name for name, code, *_ in made.topic_errors if code in (0, _EXISTS)}
        described = await _describe(admin, [data, control], there)
        for name in (data, control):
            code = described[name]["error_code"]
            if code:
                raise TopicUnsafe(
                    f"the topic cannot be made or read (Kafka error {code})",
                    where=f"topic {name} at {kafka.bootstrap}",
                    remedy="make it by hand with infinite retention, or let this user create it",
                )
            copies = min(len(found["replicas"]) for found in described[name]["partitions"])
            configs = await _configs(admin, name)
            _verify(name, configs, kafka.max_event_bytes, copies)
            if settings.outbox.prune == "applied" and not settings.outbox.trust_kafka:
                _verify_may_prune(name, configs, copies)
    if len(described[control]["partitions"]) != 1:
        raise TopicUnsafe(
            "the control topic must have one partition: decisions have one order",
            where=f"topic {control}",
            remedy="choose another `topic` name, or recreate the control topic with one partition",
        )
    return len(described[data]["partitions"])


async def _describe(
    admin: AIOKafkaAdminClient, names: list[str], there: set[str]
) -> dict[str, dict[str, Any]]:
    """Describe topics; those that are there may take a moment to be known to the broker asked."""
    while True:
        described = {found["topic"]: found for found in await admin.describe_topics(names)}
        if not any(described[name]["error_code"] == _UNKNOWN for name in there):
            return described
        await asyncio.sleep(_ASK_AGAIN_S)


def _verify(name: str, configs: dict[str, str], max_event_bytes: int, copies: int) -> None:
    wanted = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    for setting, value in wanted.items():
        if configs.get(setting) != value:
            raise TopicUnsafe(
                f"{setting} is {configs.get(setting)}: Kafka would delete events while the topic "
                "is the truth",
                where=f"topic {name}",
                remedy=_alter(name, setting, value),
            )
    if copies >= _SAFE_COPIES and int(configs.get(_IN_SYNC, "1")) < 2:
        raise TopicUnsafe(
            f"{_IN_SYNC} is {configs.get(_IN_SYNC)}: with {copies} copies, one broker's "
            "acknowledgement would do, and its loss would lose the event",
            where=f"topic {name}",
            remedy=_alter(name, _IN_SYNC, 2),
        )
    room = int(configs.get("max.message.bytes", "0"))
    if room < max_event_bytes + _BATCH_OVERHEAD_BYTES:
        raise TopicUnsafe(
            f"max.message.bytes is {room}: an event of `kafka.max_event_bytes` "
            f"({max_event_bytes}) would be refused after it was acknowledged",
            where=f"topic {name}",
            remedy=alter_remedy(name, max_event_bytes)
            + f"; or lower `kafka.max_event_bytes` to {room - _BATCH_OVERHEAD_BYTES}",
        )


def _verify_may_prune(name: str, configs: dict[str, str], copies: int) -> None:
    if copies < _SAFE_COPIES and configs.get(_FLUSH) != "1":
        raise TopicUnsafe(
            f"`outbox.prune` is on, and the topic has {copies} copies that Kafka acknowledges "
            "before they are on disk: a machine that crashes could take pruned events with it",
            where=f"topic {name}",
            remedy=f"{_alter(name, _FLUSH, 1)}; or use three copies (`kafka.replication`), or say "
            "`outbox.trust_kafka = true`",
        )


def alter_remedy(name: str, max_event_bytes: int) -> str:
    """Return what makes a topic take events of this size again."""
    return _alter(name, "max.message.bytes", max_event_bytes + _BATCH_OVERHEAD_BYTES)


def _alter(name: str, setting: str, value: object) -> str:
    return (
        f"kafka-configs --alter --entity-type topics --entity-name {name} "
        f"--add-config {setting}={value}"
    )


async def _configs(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    """Return a topic's settings; it is there, but the broker asked may not know it yet."""
    while True:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        code, _, _, _, entries = answer.resources[0]
        if code != _UNKNOWN:
            return {entry[0]: entry[1] for entry in entries}
        await asyncio.sleep(_ASK_AGAIN_S)


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    timeout_ms = settings.kafka.timeout_ms
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=timeout_ms)
    try:
        # A deadline on the whole: a silent port would otherwise hold the app's start for ever.
        async with asyncio.timeout(timeout_ms / 1000):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        await _quietly(admin.close(), timeout_ms)


async def heads_of(settings: Settings, source: str, generation: int) -> dict[int, TopicHead]:
    """Return how far a source has come in the topic: lane partition → its newest event there.

    Reads back from the end of each partition until an event of the source is found. The control
    topic's lane is under CONTROL_PARTITION.
    """
    timeout_ms = settings.kafka.timeout_ms
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        auto_offset_reset="none",
        enable_auto_commit=False,
        request_timeout_ms=timeout_ms,
        max_partition_fetch_bytes=settings.projector.fetch_bytes,
    )
    data, control = kafka_topic(settings.topic, generation), control_topic(settings.topic)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await consumer.start()
        partitions = await consumer._client.fetch_all_metadata()
        places = [TopicPartition(data, p) for p in partitions.partitions_for_topic(data) or ()]
        places.append(TopicPartition(control, 0))
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[int, TopicHead] = {}
        for place in places:
            head = await _look_back(consumer, place, ends[place], source, timeout_ms)
            if head is not None:
                found[CONTROL_PARTITION if place.topic == control else place.partition] = head
        return found
    except (KafkaError, TimeoutError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        await _quietly(consumer.stop(), timeout_ms)


async def _look_back(
    consumer: AIOKafkaConsumer, place: TopicPartition, end: int, source: str, timeout_ms: int
) -> TopicHead | None:
    consumer.pause(*consumer.assignment())
    consumer.resume(place)
    reach, upper = _LOOK_BACK, end
    while upper > 0:
        lower = max(0, end - reach)
        newest: TopicHead | None = None
        foreign: envelope.EnvelopeInvalid | None = None
        ours = False
        consumer.seek(place, lower)
        next_offset = lower
        while next_offset < upper:
            batch: dict[Any, Any] = await consumer.getmany(place, timeout_ms=timeout_ms)
            records = batch.get(place, [])
            if not records:
                raise TimeoutError(f"no records of {place.topic}/{place.partition}")
            for record in records:
                try:
                    event = envelope.decode(record.value or b"")
                except envelope.EnvelopeInvalid as error:
                    foreign = error  # one between ours stops projectors, not who writes
                    continue
                ours = True
                # Resends may stand behind newer events, so the highest number wins.
                if event.source == source and (newest is None or int(event.seq) > newest.seq):
                    newest = TopicHead(int(event.seq), envelope.digest(record.value))
            next_offset = records[-1].offset + 1
        if foreign is not None and not ours:
            raise foreign  # a topic of something else
        if newest is not None:
            return newest
        upper, reach = lower, reach * 2
    return None


def unreachable(settings: Settings, error: BaseException) -> BrokerUnreachable:
    """Return the error for a broker that did not answer, with its cause in words."""
    if isinstance(error, BrokerUnreachable):
        return error
    cause = str(error) or type(error).__name__
    return BrokerUnreachable(
        f"Kafka did not answer within {settings.kafka.timeout_ms} ms: {cause}",
        where=settings.kafka.bootstrap or "`kafka.bootstrap` is empty",
        remedy=reach_remedy(settings.kafka),
    )


async def _quietly(closing: Any, timeout_ms: int) -> None:
    """Close a client that may hang while brokers are down; the process goes on either way."""
    try:
        await asyncio.wait_for(closing, timeout_ms / 1000)
    except (KafkaError, TimeoutError, OSError):
        return
