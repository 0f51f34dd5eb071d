"""A leader that moves or dies while the relay works; a cluster of three brokers of its own."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient

import eventlog
from compose.stack import Stack, ephemeral_stack
from eventlog.topic import TopicUnsafe
from schemas.position import control_topic
from schemas.settings import Kafka, Outbox, Settings
from tests.eventlog.app import new_rings, opened, require_whole_lanes, rows_of
from tests.eventlog.broker import by_lane, data_topic, describe, events_of, make_topic, run

DEADLINE_S = 40.0
UNITS, UNIT = 60, 200


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[Stack]:
    with ephemeral_stack(brokers=3) as running:
        yield running


@pytest.fixture
def settings(three_brokers: Stack, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    endpoints = three_brokers.endpoints()
    assert endpoints is not None
    return Settings(
        source="app-1",
        topic=f"three-{request.node.name[:30]}",
        domain="tests.domains.ledger",
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=3, replication=3, timeout_ms=5_000),
        outbox=Outbox(path="outbox.db"),
        directory=str(tmp_path),
    )


def leader_of(settings: Settings, partition: int) -> int:
    async def work() -> int:
        client = AIOKafkaClient(bootstrap_servers=settings.kafka.bootstrap)
        await client.bootstrap()
        await client.set_topics([data_topic(settings)])
        place = TopicPartition(data_topic(settings), partition)
        leader = client.cluster.leader_for_partition(place)
        await client.close()
        return int(leader)

    return run(work())


def test_a_leader_killed_while_it_relays_loses_and_doubles_nothing(
    three_brokers: Stack, settings: Settings
) -> None:
    ferry = eventlog.attach(settings)
    ferry.register("account", {})
    ferry.register("reading", new_rings())
    halfway = threading.Event()

    def record() -> None:
        for unit in range(UNITS):
            names = [str(unit * UNIT + number) for number in range(UNIT)]
            ferry.record_all([opened(name) for name in names])[-1].durable(DEADLINE_S)
            if unit == UNITS // 2:
                halfway.set()

    recording = threading.Thread(target=record)
    ferry.record(opened("first")).replicated(DEADLINE_S)
    leader = leader_of(settings, 1)
    recording.start()
    assert halfway.wait(DEADLINE_S)

    three_brokers.kill_kafka(leader)

    recording.join(DEADLINE_S)
    ferry.record(opened("without it")).replicated(DEADLINE_S)
    assert leader_of(settings, 1) not in (leader, -1)
    three_brokers.restart_kafka(leader)
    ferry.record(opened("last")).replicated(DEADLINE_S)
    ferry.close(DEADLINE_S)
    rows = rows_of(settings.outbox_path)
    require_whole_lanes(rows)
    assert events_of(settings) == by_lane(rows)
    assert sum(map(len, by_lane(rows).values())) == UNITS * UNIT + 4
    for topic in (data_topic(settings), control_topic(settings.topic)):
        assert describe(settings, topic)[1]["min.insync.replicas"] == "2"


def test_a_topic_of_three_copies_that_one_may_acknowledge_alone_is_refused(
    settings: Settings,
) -> None:
    make_topic(settings, data_topic(settings), 3, min_insync_replicas="1")

    with pytest.raises(TopicUnsafe, match="its loss would lose the event") as caught:
        eventlog.attach(settings)

    assert data_topic(settings) in caught.value.where
    assert "--add-config min.insync.replicas=2" in caught.value.remedy
