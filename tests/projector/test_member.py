import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from projector.member import GroupRefused, Member
from projector.runner import Projector
from schemas.position import kafka_topic
from schemas.settings import Projector as Workers
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.projecting import eventually

ALL = frozenset({0, 1, 2})


@asynccontextmanager
async def member(settings: Settings, number: int = 0) -> AsyncIterator[Member]:
    topic = kafka_topic(settings.topic, 1)
    async with Member(settings, topic, settings.projection, number) as there:
        yield there


async def test_members_share_and_keep_what_they_have_where_they_may(topic: Settings) -> None:
    async with member(topic) as first:
        await eventually(lambda: first.take() == ALL, "it has all")
        assert first.partitions_of_topic == 3
        async with member(topic, 1) as second:
            await eventually(second.take, "the second one has some")
            await eventually(lambda: len(first.take() or ()) == 2, "the first one gave one")
            kept = first.take()
            assert kept is not None
            assert second.take() == ALL - kept
        await eventually(lambda: first.take() == ALL, "it has all again")


async def test_one_that_asks_for_its_share_anew_is_told_it_again(topic: Settings) -> None:
    async with member(topic) as only:
        await eventually(only.take, "it has partitions")

        only.rejoin()

        assert only.take() is None
        await asyncio.wait_for(only.changed.wait(), 10)
        assert only.take() == ALL


async def test_a_session_that_brokers_do_not_take_is_refused_naming_the_setting(
    topic: Settings,
) -> None:
    short = msgspec.structs.replace(topic, projector=Workers(session_timeout_ms=100))

    with pytest.raises(GroupRefused) as refused:
        await asyncio.wait_for(Projector(short, DOMAIN).run(), 20)

    assert "projector.session_timeout_ms" in refused.value.where
    assert "group.min.session.timeout.ms" in refused.value.remedy


async def test_a_stranger_in_the_group_is_named_and_nothing_is_applied(topic: Settings) -> None:
    name = kafka_topic(topic.topic, 1)
    stranger = AIOKafkaConsumer(
        name,
        bootstrap_servers=topic.kafka.bootstrap,
        group_id=f"memferry.{name}.{topic.projection}",
        auto_offset_reset="earliest",
    )
    await stranger.start()
    try:
        with pytest.raises(GroupRefused) as refused:
            await asyncio.wait_for(Projector(topic, DOMAIN).run(), 20)
    finally:
        await stranger.stop()

    assert f"memferry.{name}.{topic.projection}" in refused.value.where
