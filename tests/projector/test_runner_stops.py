"""What stops a partition, and what only puts events aside, while projectors run."""

import asyncio
from typing import Any

import msgspec
import psycopg

from projector.mending.deciding import mend
from projector.parked import parked_streams
from projector.parked_asking import retry_parked
from projector.progress import Progress
from projector.runner import Projector
from schemas import envelope
from schemas.settings import Projector as Batches
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project, projecting

DEADLINE_S = 20


async def test_events_behind_a_stop_are_not_counted_as_applied(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 30), *accounts_in(1, 7))
    rows = app.rows()
    broker.publish(topic, [row for row in rows if row.partition != 0])
    lane = [row.event for row in rows if row.partition == 0]
    broker.send(topic, 0, [*lane[:10], *lane[11:]])

    progress = await project(topic)

    assert progress.applied == 10 + 7
    assert list(progress.stopped) == [0]
    assert progress.partitions[0].next_offset == 10


async def test_a_run_ends_when_every_partition_has_stopped(
    app: App, broker: Broker, topic: Settings
) -> None:
    broker.publish(topic, app.rows())
    for partition in range(3):
        broker.send(topic, partition, [b"garbage", b"more"])

    progress: Progress = await Projector(topic, DOMAIN).run()

    assert sorted(progress.stopped) == [0, 1, 2]
    assert progress.applied == 0


async def test_projectors_that_share_go_on_until_the_last_partition_has_stopped(
    app: App, broker: Broker, topic: Settings
) -> None:
    broker.publish(topic, app.rows())
    runs = [Projector(topic, DOMAIN) for _ in range(2)]
    running = [asyncio.create_task(projector.run()) for projector in runs]
    await eventually(lambda: all(r.progress.partitions for r in runs), "both have partitions")
    broker.send(topic, 0, [b"garbage"])
    broker.send(topic, 1, [b"garbage"])
    await eventually(lambda: sum(len(r.progress.stopped) for r in runs) == 2, "two stopped")
    sent = len(app.rows())
    for name in accounts_in(2, 40):  # time enough to end, for one that would
        app.open(name)
        broker.publish(topic, app.rows()[sent:])
        sent = len(app.rows())
        await eventually(lambda: sum(r.progress.applied for r in runs) == len(app.accounts), name)
    assert not any(task.done() for task in running)

    broker.send(topic, 2, [b"garbage"])
    ended = await asyncio.wait_for(asyncio.gather(*running), DEADLINE_S)

    assert {p for progress in ended for p in progress.stopped} == {0, 1, 2}


def of_type(event: bytes, name: str) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(event) | {"type": name})


def chained(lane: list[bytes]) -> list[bytes]:
    """The same events, each with the chain of the one before it."""
    found = [lane[0]]
    for event in lane[1:]:
        opened = msgspec.json.decode(event) | {"chain": envelope.digest(found[-1])}
        found.append(msgspec.json.encode(opened))
    return found


async def test_types_that_nobody_declared_are_parked_and_the_others_go_on(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    names = accounts_in(0, 12)
    app.open(*names)
    rows = app.rows()
    broker.publish(topic, [row for row in rows if row.partition != 0])
    lane = [row.event for row in rows if row.partition == 0]
    unknown = [of_type(event, "ledger.account.sold.v1") for event in lane[3:9]]
    broker.send(topic, 0, chained([*lane[:3], *unknown, *lane[9:]]))

    quick = msgspec.structs.replace(topic, projector=Batches(batch_events=2))
    progress = await project(quick)

    assert (progress.applied, progress.parked, progress.stopped) == (6, 6, {})
    parked = {found.stream for found in parked_streams(database, topic.projection)}
    assert parked == {f"account/{name}" for name in names[3:9]}


async def test_a_running_projector_applies_parked_streams_again_when_asked(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 3))
    broker.publish(topic, app.rows())
    sent = len(app.rows())
    async with projecting(topic) as projector:
        await eventually(lambda: projector.progress.applied == 3, "the history applied")
        database.execute(
            f"ALTER TABLE {topic.projection}.accounts"
            " ADD CONSTRAINT honest CHECK (owner <> 'Mallory')"
        )
        name = accounts_in(1, 1)[0]
        app.open(name, owner="Mallory")
        app.deposit(name, 5)
        broker.publish(topic, app.rows()[sent:])
        await eventually(lambda: projector.progress.parked == 2, "both events parked")
        database.execute(f"ALTER TABLE {topic.projection}.accounts DROP CONSTRAINT honest")

        (answer,) = await asyncio.to_thread(
            retry_parked, database, topic.projection, None, DEADLINE_S
        )

        await eventually(lambda: projector.progress.applied == 5, "they are counted")
    assert (answer.applied, answer.left) == (2, 0)
    assert tables(database, topic.projection) == app.expected()


async def test_running_projectors_take_up_a_mend_of_a_partition_that_stopped(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 6), *accounts_in(1, 3))
    rows = app.rows()
    lane = [row.event for row in rows if row.partition == 0]

    async with projecting(topic) as one, projecting(topic) as other:
        # Whoever claims a partition tries it again: a stop stands once they share for good.
        await eventually(lambda: one.progress.partitions and other.progress.partitions, "a share")
        broker.publish(topic, [row for row in rows if row.partition != 0])
        broker.send(topic, 0, [*lane[:2], *lane[3:]])
        await eventually(lambda: one.progress.stopped or other.progress.stopped, "a stop")
        await mend(database, topic, topic.projection, 0, reason="a test")
        await eventually(lambda: one.progress.applied + other.progress.applied == 8, "the rest")

        assert not one.progress.stopped
        assert not other.progress.stopped
    names = {account[0] for account in tables(database, topic.projection)["accounts"]}
    assert names == app.accounts.keys() - {accounts_in(0, 3)[2]}
