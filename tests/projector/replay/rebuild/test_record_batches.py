"""Record batches give what a consumer gives, from any offset on."""

import asyncio

import msgspec
import pytest

from projector.log import BrokerUnreachable, Log, OffsetsGone
from projector.replay.rebuild.record_batches import RecordBatches
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from tests.projector.broker import Broker

RECORDS = 50


@pytest.fixture
def filled(topic: Settings, broker: Broker) -> str:
    for partition in range(3):
        broker.send(topic, partition, [b"%d" % number for number in range(RECORDS)])
    return kafka_topic(topic.topic, FIRST_GENERATION)


async def test_they_are_a_consumers_records_from_any_offset_on(
    filled: str, settings: Settings
) -> None:
    places = {0: 0, 1: 7, 2: RECORDS - 1}
    expected: dict[int, list[tuple[int, bytes | None]]] = {p: [] for p in places}
    async with Log(settings, filled) as log:
        await log.start_at(places)
        while sum(map(len, expected.values())) < 3 * RECORDS - sum(places.values()):
            for partition, records in (await log.fetch(RECORDS, 100)).items():
                expected[partition] += [(record.offset, record.value) for record in records]

    found: dict[int, list[tuple[int, bytes | None]]] = {p: [] for p in places}
    async with RecordBatches(settings, filled, 1) as batches:  # a batch at a time
        while places:
            for partition, stored in (await batches.fetch(places)).items():
                found[partition] += [(record.offset, record.value) for record in stored]
                places[partition] = stored[-1].offset + 1
                if places[partition] == RECORDS:
                    del places[partition]

    assert found == expected


async def test_they_wait_for_records_that_are_not_there_yet(
    filled: str, settings: Settings, broker: Broker
) -> None:
    async with RecordBatches(settings, filled, 1_000) as batches:
        waiting = asyncio.create_task(batches.fetch({1: RECORDS}))
        await asyncio.sleep(0)
        await asyncio.to_thread(broker.send, settings, 1, [b"late"])
        found = await asyncio.wait_for(waiting, 10)

    assert [record.value for record in found[1]] == [b"late"]


async def test_what_the_topic_no_longer_holds_is_said(
    filled: str, settings: Settings, broker: Broker
) -> None:
    broker.cut(settings, 0, 10)

    async with RecordBatches(settings, filled, 1_000) as batches:
        with pytest.raises(OffsetsGone):
            await batches.fetch({0: 3})


async def test_a_broker_that_is_not_there_is_said(settings: Settings) -> None:
    kafka = msgspec.structs.replace(settings.kafka, bootstrap="127.0.0.1:1", timeout_ms=500)

    with pytest.raises(BrokerUnreachable):
        async with RecordBatches(msgspec.structs.replace(settings, kafka=kafka), "t", 1_000):
            pass
