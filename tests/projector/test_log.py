import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from compose.stack.ports import free_port
from projector.log import BrokerUnreachable, Log, LogReplaced, OffsetsGone, TopicMissing
from schemas.position import kafka_topic
from schemas.settings import Kafka, Projector, Settings
from tests.projector.broker import Broker


def log_of(settings: Settings) -> Log:
    return Log(settings, kafka_topic(settings.topic, 1))


async def read(log: Log, count: int, limit: int = 1_000) -> dict[int, list[tuple[int, Any]]]:
    """Fetch until so many records are there."""
    found: dict[int, list[tuple[int, Any]]] = {}
    async with asyncio.timeout(10):
        while sum(map(len, found.values())) < count:
            for partition, records in (await log.fetch(limit, 100)).items():
                assert len(records) <= limit
                found.setdefault(partition, []).extend((r.offset, r.value) for r in records)
    return found


async def test_partitions_are_read_from_their_offsets(topic: Settings, broker: Broker) -> None:
    broker.send(topic, 0, [b"a", b"b", b"c"])
    broker.send(topic, 2, [b"x", b"y"])

    async with log_of(topic) as log:
        await log.start_at({0: 1, 1: 0, 2: 2})
        broker.send(topic, 1, [b"later"])
        found = await read(log, 3)

    assert log.partitions == 3
    assert found == {0: [(1, b"b"), (2, b"c")], 1: [(0, b"later")]}


async def test_bounds_are_the_first_offset_and_the_one_behind_the_last(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 1, [b"a", b"b"])

    async with log_of(topic) as log:
        assert await log.bounds() == {0: (0, 0), 1: (0, 2), 2: (0, 0)}


@pytest.mark.parametrize("offset", [3, 1_000_000])
async def test_an_offset_that_the_partition_does_not_hold_is_never_reset(
    topic: Settings, broker: Broker, offset: int
) -> None:
    broker.send(topic, 1, [b"a", b"b"])

    async with log_of(topic) as log:
        with pytest.raises(OffsetsGone) as gone:
            await log.start_at({0: 0, 1: offset})

    assert f"offset {offset}, the partition holds 0 to 2" in gone.value.what
    assert gone.value.where == f"topic {topic.topic}.1, partition 1"
    assert "do not go on" in gone.value.remedy


async def test_the_end_of_a_partition_is_a_place_to_start_at(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 1, [b"a"])

    async with log_of(topic) as log:
        await log.start_at({1: 1})
        broker.send(topic, 1, [b"b"])

        assert await read(log, 1) == {1: [(1, b"b")]}


async def test_a_log_cut_under_the_reader_is_no_reason_to_skip(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 0, [b"a", b"b", b"c"])

    async with log_of(topic) as log:
        await log.start_at({0: 0, 1: 0, 2: 0})
        await read(log, 3)
        log.seek(0, 0)
        broker.cut(topic, 0, 2)

        with pytest.raises(OffsetsGone) as gone:
            await read(log, 100)

    assert gone.value.where == f"topic {topic.topic}.1, partition 0"
    assert "no longer holds offset 0" in gone.value.what


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


async def test_the_record_below_each_offset_is_compared_before_anything_is_read(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 0, [b"a", b"b", b"c"])
    broker.send(topic, 1, [b"x"])

    async with log_of(topic) as log:
        await log.start_at({0: 2, 1: 1, 2: 0}, {0: digest(b"b"), 1: digest(b"x")})

        assert await read(log, 1) == {0: [(2, b"c")]}
        with pytest.raises(LogReplaced) as replaced:
            await log.start_at({0: 2, 1: 1}, {0: digest(b"b"), 1: digest(b"y")})

    assert replaced.value.partition == 1
    assert digest(b"x")[:12] in replaced.value.what
    assert digest(b"y")[:12] in replaced.value.what
    assert "do not go on" in replaced.value.remedy


async def test_where_retention_removed_the_record_below_nothing_is_compared(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 0, [b"a", b"b", b"c"])
    broker.cut(topic, 0, 2)

    async with log_of(topic) as log:
        await log.start_at({0: 2}, {0: digest(b"gone")})

        assert await read(log, 1) == {0: [(2, b"c")]}


async def test_a_partition_that_was_left_is_read_no_more_and_one_can_go_back(
    topic: Settings, broker: Broker
) -> None:
    async with log_of(topic) as log:
        await log.start_at({0: 0, 1: 0})
        log.leave(0)
        broker.send(topic, 0, [b"unread"])
        broker.send(topic, 1, [b"a", b"b"])
        first = await read(log, 2)
        log.seek(1, 0)
        again = await read(log, 2)

    assert first == again == {1: [(0, b"a"), (1, b"b")]}


async def test_a_fetch_is_bounded_in_records(topic: Settings, broker: Broker) -> None:
    broker.send(topic, 0, [b"%d" % number for number in range(50)])

    async with log_of(topic) as log:
        await log.start_at({0: 0})
        found = await read(log, 50, limit=7)

    assert [offset for offset, _ in found[0]] == list(range(50))


async def test_a_fetch_is_bounded_in_bytes_and_loses_nothing_of_what_came(
    topic: Settings, broker: Broker
) -> None:
    sizes = [30, 30, 30, 90, 250, 10, 10]
    broker.send(topic, 0, [b"x" * size for size in sizes])
    broker.send(topic, 1, [b"y" * 20])

    got: dict[int, list[int]] = {0: [], 1: []}
    async with log_of(topic) as log:
        await log.start_at({0: 0, 1: 0})
        async with asyncio.timeout(10):
            while sum(map(len, got.values())) < 8:
                found = await log.fetch(1_000, 100, 100)
                sizes_of = [len(r.value) for records in found.values() for r in records]
                assert sum(sizes_of) <= 100 or len(sizes_of) == 1
                for partition, records in found.items():
                    got[partition] += [len(record.value) for record in records]
        assert got == {0: sizes, 1: [20]}

        log.seek(0, 0)
        first = await log.fetch(1_000, 1_000, 40)
        log.seek(0, 5)  # what is left of that fetch is not of this place
        assert await read(log, 2) == {0: [(5, b"x" * 10), (6, b"x" * 10)]}
    assert [len(record.value) for record in first[0]] == [30]


async def test_a_record_larger_than_a_fetch_arrives_whole(topic: Settings, broker: Broker) -> None:
    small = msgspec.structs.replace(topic, projector=Projector(fetch_bytes=1_000))
    broker.send(topic, 0, [b"x" * 900_000, b"next"])

    async with log_of(small) as log:
        await log.start_at({0: 0})
        found = await read(log, 2)

    assert [len(value) for _, value in found[0]] == [900_000, 4]


async def test_the_end_is_behind_the_last_record_and_unknown_before_kafka_has_said_it(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 0, [b"a", b"b", b"c"])
    broker.send(topic, 1, [b"x"])

    async with log_of(topic) as log:
        assert log.end(0) is None
        await log.start_at({0: 0, 1: 0})
        assert log.end(0) is None
        await read(log, 4)

        assert (log.end(0), log.end(1), log.end(2)) == (3, 1, None)
        broker.send(topic, 1, [b"y"])
        await read(log, 1)
        assert log.end(1) == 2


async def test_partitions_that_are_others_to_read_are_compared_and_not_read(
    topic: Settings, broker: Broker
) -> None:
    broker.send(topic, 0, [b"a", b"b"])
    broker.send(topic, 1, [b"x", b"y"])

    async with log_of(topic) as log:
        tails = {0: digest(b"a"), 1: digest(b"x")}
        await log.start_at({0: 1, 1: 1}, tails, [1])

        assert await read(log, 1) == {1: [(1, b"y")]}
        with pytest.raises(LogReplaced) as replaced:
            await log.start_at({0: 1, 1: 1}, tails | {0: digest(b"z")}, [1])

    assert replaced.value.partition == 0


async def test_a_topic_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(TopicMissing) as missing:
        async with log_of(settings):
            pass

    assert repr(f"{settings.topic}.1") in missing.value.what
    assert missing.value.where == settings.kafka.bootstrap


@pytest.mark.parametrize("bootstrap", ["closed", ""])
async def test_no_broker_is_named_by_its_place_within_the_deadline(
    settings: Settings, bootstrap: str
) -> None:
    place = bootstrap and f"127.0.0.1:{free_port()}"
    away = msgspec.structs.replace(settings, kafka=Kafka(bootstrap=place, timeout_ms=500))

    async with asyncio.timeout(5):
        with pytest.raises(BrokerUnreachable) as refused:
            async with log_of(away):
                pass

    assert refused.value.where == (place or "`kafka.bootstrap` is empty")
    assert "memferry stack up" in refused.value.remedy


async def test_a_server_that_never_answers_is_given_up_at_the_deadline(
    settings: Settings,
) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    away = msgspec.structs.replace(settings, kafka=Kafka(f"{host}:{port}", timeout_ms=300))

    async with asyncio.timeout(5):
        with pytest.raises(BrokerUnreachable) as refused:
            async with log_of(away):
                pass

    silent.close()
    assert refused.value.where == f"{host}:{port}"
