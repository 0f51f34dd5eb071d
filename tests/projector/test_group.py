"""Several projectors on one projection: whoever comes, goes or freezes, all is applied once."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from projector import checkpoint, member
from projector.control_tables import Projection, ProjectionMismatch
from projector.log import LogChanged
from projector.replay.look_back import look_back, resume
from projector.replay.target import Target
from projector.runner import Projector
from schemas.position import kafka_topic
from schemas.settings import Projector as Workers
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.apart import awaited, killed, none_left, released, started
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.segments import lanes_in, offsets_in
from tests.projector.waiting import until_blocked_by


@pytest.fixture(autouse=True)
def no_projector_left() -> Iterator[None]:
    with none_left():
        yield


def with_workers(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, projector=Workers(**changes))


def record(app: App, events: int) -> None:
    for number in range(events // 2):
        app.open(f"acc-{len(app.accounts)}")
        app.read(f"meter-{number % 7}", len(app.readings_taken))


class Publishing:
    """Sends what the app recorded since the last time."""

    def __init__(self, app: App, broker: Broker, settings: Settings) -> None:
        self._app, self._broker, self._settings = app, broker, settings
        self._sent = 0

    def more(self, events: int) -> None:
        record(self._app, events)
        rows = self._app.rows()
        self._broker.publish(self._settings, rows[self._sent :])
        self._sent = len(rows)


@pytest.fixture
def publishing(app: App, broker: Broker, topic: Settings) -> Publishing:
    return Publishing(app, broker, topic)


def has(*counts: int) -> Callable[..., bool]:
    """Whether projectors have so many partitions, in any order."""
    return lambda *projectors: (
        sorted(len(p.progress.partitions) for p in projectors) == sorted(counts)
    )


def caught_up(conn: psycopg.Connection[Any], settings: Settings, end: dict[int, int]) -> bool:
    return offsets_in(conn, settings.projection) == end


async def test_projectors_that_come_and_go_share_the_partitions_and_apply_everything_once(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(100)
    quick = with_workers(topic, batch_events=7)

    async with projecting(quick) as first:
        await eventually(lambda: has(3)(first), "it has all")
        async with projecting(quick) as second:
            await eventually(lambda: has(1, 2)(first, second), "they share")
            publishing.more(200)
            async with projecting(quick) as third:
                await eventually(lambda: has(1, 1, 1)(first, second, third), "three share")
                publishing.more(100)
            publishing.more(100)
            await eventually(lambda: has(1, 2)(first, second), "two share again")
        await eventually(lambda: has(3)(first), "the first one has all again")
        publishing.more(20)
        end = await ends(topic)
        await eventually(lambda: caught_up(database, topic, end), "everything applied")

    assert sum(p.progress.applied for p in (first, second, third)) == 520
    assert tables(database, topic.projection) == app.expected()
    assert sum(lanes_in(database, topic.projection).values()) == 520


async def test_one_that_is_killed_is_followed_by_the_other(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(300)
    quick = with_workers(topic, batch_events=10, session_timeout_ms=1_000)

    process = started(quick, 4)
    awaited(process)
    killed(process)
    async with projecting(quick) as survivor:
        await eventually(lambda: survivor.progress.applied > 100, "another one follows")
        process = started(quick, 3)
        # It is killed as a member of the group beside one that goes on.
        await eventually(lambda: not has(3)(survivor), "they share")
        publishing.more(200)
        await asyncio.to_thread(awaited, process)
        killed(process)
        end = await ends(topic)
        await eventually(lambda: caught_up(database, topic, end), "everything applied")

    assert survivor.progress.stopped == {}
    assert tables(database, topic.projection) == app.expected()
    assert sum(lanes_in(database, topic.projection).values()) == 500


async def test_one_started_behind_a_killed_one_does_not_wait_for_kafka_to_give_that_up(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(100)
    patient = with_workers(topic, batch_events=10, session_timeout_ms=60_000)
    process = started(patient, 2)
    awaited(process)
    killed(process)

    async with projecting(patient):
        end = await ends(topic)
        await eventually(lambda: caught_up(database, topic, end), "everything applied")

    assert tables(database, topic.projection) == app.expected()


async def test_one_that_froze_through_a_rebalance_cannot_commit(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(200)
    quick = with_workers(topic, batch_events=10, session_timeout_ms=1_000)
    process = started(quick, 2)
    awaited(process)
    behind = sum(offsets_in(database, topic.projection).values())

    async with projecting(quick) as other:
        end = await ends(topic)
        await eventually(lambda: caught_up(database, topic, end), "the other applied the rest")
        released(process)  # it has a batch at hand, and believes that it has the partitions
        await eventually(lambda: not has(3)(other), "it is a member anew")
        publishing.more(100)
        end = await ends(topic)
        await eventually(lambda: caught_up(database, topic, end), "both apply")
    killed(process)

    assert behind < 200
    assert tables(database, topic.projection) == app.expected()
    assert sum(lanes_in(database, topic.projection).values()) == 300


async def test_one_that_froze_within_a_transaction_keeps_nobody_waiting(
    app: App,
    projection: Projection,
    publishing: Publishing,
    settings: Settings,
    database: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "_PATIENCE_MS", 300)
    publishing.more(100)
    quick = with_workers(settings, session_timeout_ms=1_000)
    with psycopg.connect(settings.postgres.dsn) as blocking:
        blocking.execute(f"LOCK {projection.name}.readings IN EXCLUSIVE MODE")
        process = started(quick, 99)
        await asyncio.to_thread(until_blocked_by, database, blocking)
        process.send_signal(signal.SIGSTOP)

    async with projecting(quick):
        end = await ends(settings)
        await eventually(lambda: caught_up(database, settings, end), "the other applied all")
        process.send_signal(signal.SIGCONT)
        publishing.more(50)
        end = await ends(settings)
        await eventually(lambda: caught_up(database, settings, end), "all applied")
    killed(process)

    assert tables(database, settings.projection) == app.expected()
    assert sum(lanes_in(database, settings.projection).values()) == 150


async def test_one_that_froze_through_a_rollback_cannot_commit(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(200)
    process = started(with_workers(topic, batch_events=10), 4)
    awaited(process)

    await look_back(topic, DOMAIN, Target(offset="0:3,1:2,2:1"), way="in_place")
    before = tables(database, topic.projection)
    released(process)  # it has a batch at hand
    waiting = f"memferry projector {topic.projection} waiting"
    await eventually(
        lambda: (
            database.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = %s", (waiting,)
            ).fetchone()
            is not None
        ),
        "it waits",
    )
    assert offsets_in(database, topic.projection) == {0: 3, 1: 2, 2: 1}
    assert tables(database, topic.projection) == before

    assert (await resume(topic, DOMAIN, 20)).caught_up
    killed(process)
    assert tables(database, topic.projection) == app.expected()


def appliers() -> set[str]:
    """Threads that apply; each begins with its worker's first claim."""
    return {thread.name for thread in threading.enumerate() if "memferry-apply" in thread.name}


async def test_workers_of_one_process_share_the_partitions(
    app: App, topic: Settings, publishing: Publishing, database: psycopg.Connection[Any]
) -> None:
    publishing.more(400)

    async with projecting(with_workers(topic, batch_events=20, max_concurrency=2)) as projector:
        await eventually(lambda: projector.progress.applied == 400, "the history applied")
        await eventually(lambda: len(appliers()) == 2, "both workers have partitions")
        publishing.more(100)
        await eventually(lambda: projector.progress.applied == 500, "the rest applied")
        await eventually(lambda: projector.progress.lag == 0, "no lag is left")
        assert sorted(projector.progress.partitions) == [0, 1, 2]
        connections = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s",
            (f"memferry projector {topic.projection}",),
        ).fetchone()

    assert connections == (2,)
    assert tables(database, topic.projection) == app.expected()
    assert sum(lanes_in(database, topic.projection).values()) == 500


async def test_partitions_that_were_added_to_the_topic_are_noticed_while_it_runs(
    topic: Settings,
    publishing: Publishing,
    database: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(member, "METADATA_AGE_MS", 200)
    publishing.more(20)
    name = kafka_topic(topic.topic, 1)

    projector = Projector(topic, DOMAIN)
    running = asyncio.create_task(projector.run())
    await eventually(lambda: projector.progress.applied == 20, "the history applied")
    admin = AIOKafkaAdminClient(bootstrap_servers=topic.kafka.bootstrap)
    await admin.start()
    await admin.create_partitions({name: NewPartitions(4)})
    await admin.close()

    with pytest.raises(ProjectionMismatch) as changed:
        await asyncio.wait_for(running, 20)
    assert "4 partitions" in changed.value.what
    with pytest.raises(ProjectionMismatch):
        await Projector(topic, DOMAIN).run()
    assert len(offsets_in(database, topic.projection)) == 3


async def test_a_topic_that_was_recreated_is_noticed_by_each_of_several_projectors(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 20))  # nothing in the other partitions: only one can tell
    broker.publish(topic, app.rows())
    await project(topic)
    before = tables(database, topic.projection)
    broker.drop_topic(topic)
    broker.make_topics(topic, control=False)
    for partition in range(3):
        broker.send(topic, partition, [b"%d" % number for number in range(30)])

    runs = [Projector(topic, DOMAIN).run() for _ in range(2)]
    ended = await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), 30)

    assert all(isinstance(error, LogChanged) for error in ended), ended
    assert offsets_in(database, topic.projection) == {0: 20, 1: 0, 2: 0}
    assert tables(database, topic.projection) == before
