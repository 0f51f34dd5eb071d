"""A projector that is killed, and one whose servers are: nothing is lost, nothing doubled."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack import Stack, ephemeral_stack
from projector.control_tables import Projection, set_state
from schemas.settings import Kafka, Outbox, Postgres, Projector, Settings
from tests.projector.apart import killed, none_left, started
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.proxy import proxied
from tests.projector.segments import lanes_in, offsets_in
from tests.projector.waiting import until_blocked_by


@pytest.fixture(autouse=True)
def no_projector_left() -> Iterator[None]:
    with none_left():
        yield


def record_history(app: App, events: int) -> None:
    for number in range(events // 4):
        app.open(f"acc-{number}")
        app.deposit(f"acc-{number}", number)
        app.read(f"meter-{number % 7}", number)
        if number % 2:
            app.end(f"acc-{number}")
        else:
            app.deposit(f"acc-{number}", 1)


def in_batches_of(settings: Settings, events: int) -> Settings:
    return msgspec.structs.replace(settings, projector=Projector(batch_events=events))


async def test_projectors_killed_behind_a_commit_are_followed_by_the_next(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    record_history(app, 400)
    broker.publish(topic, app.rows())
    places = []

    for stop_at in (1, 4):
        process = started(in_batches_of(topic, 30), stop_at)
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        killed(process)
        places.append(sum(offsets_in(database, topic.projection).values()))

    progress = await project(topic)

    assert 0 < places[0] < places[1] < 400
    assert progress.applied == 400 - places[1]
    assert tables(database, topic.projection) == app.expected()


async def test_a_projector_killed_within_a_transaction_has_done_nothing_of_it(
    app: App,
    broker: Broker,
    topic: Settings,
    database: psycopg.Connection[Any],
    projection: Projection,
) -> None:
    record_history(app, 100)
    broker.publish(topic, app.rows())

    with psycopg.connect(topic.postgres.dsn) as other:
        other.execute(f"LOCK {projection.name}.readings IN EXCLUSIVE MODE")
        process = started(topic, 1)
        until_blocked_by(database, other)
        killed(process)

    assert tables(database, projection.name) == {"accounts": set(), "readings": set()}
    assert lanes_in(database, projection.name) == {}
    assert (await project(topic)).applied == 100
    assert tables(database, projection.name) == app.expected()


@pytest.mark.parametrize("commit", [4, 5, 6])
async def test_a_commit_whose_answer_is_lost_is_settled_by_looking(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any], commit: int
) -> None:
    record_history(app, 100)
    broker.publish(topic, app.rows())

    with proxied(topic.postgres.dsn, commit) as proxy:
        through = msgspec.structs.replace(topic, postgres=Postgres(dsn=proxy.dsn))
        await project(in_batches_of(through, 20))

    assert proxy.cut.is_set()
    assert tables(database, topic.projection) == app.expected()
    assert sum(lanes_in(database, topic.projection).values()) == 100


@pytest.fixture(scope="module")
def fragile() -> Iterator[Stack]:
    """A stack that the tests below may kill."""
    with ephemeral_stack() as stack:
        yield stack


@pytest.fixture
def settings_there(fragile: Stack, tmp_path: Path) -> Settings:
    endpoints = fragile.endpoints()
    assert endpoints is not None
    name = f"t{secrets.token_hex(5)}"
    return Settings(
        source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=3), postgres=Postgres(endpoints.postgres),
        outbox=Outbox(path="outbox.db"), projector=Projector(batch_events=5),
        directory=str(tmp_path),
    )  # fmt: skip


@pytest.fixture
def app_there(settings_there: Settings) -> Iterator[App]:
    app = App(settings_there)
    yield app
    app.close()


def applied(settings: Settings) -> dict[int, int]:
    """The checkpoint; nothing where the database cannot be asked."""
    try:
        with psycopg.connect(settings.postgres.dsn) as conn:
            return offsets_in(conn, settings.projection)
    except psycopg.Error:
        return {}


async def test_postgresql_killed_under_a_projector_loses_and_doubles_nothing(
    fragile: Stack, settings_there: Settings, app_there: App
) -> None:
    settings, broker = settings_there, Broker(settings_there.kafka.bootstrap)
    record_history(app_there, 1_000)
    broker.make_topics(settings)
    broker.publish(settings, app_there.rows())
    broker.close()
    end = await ends(settings)

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied > 50, "the first batches")
        await asyncio.to_thread(fragile.kill_postgres)
        before = projector.progress.applied
        await asyncio.to_thread(fragile.restart_postgres)
        await eventually(lambda: applied(settings) == end, "everything applied")

    assert before < 1_000
    with psycopg.connect(settings.postgres.dsn) as conn:
        assert tables(conn, settings.projection) == app_there.expected()


async def test_a_projector_that_waits_for_its_projection_survives_postgresqls_restart(
    fragile: Stack, settings_there: Settings, app_there: App
) -> None:
    settings, broker = settings_there, Broker(settings_there.kafka.bootstrap)
    app_there.open("a")
    broker.make_topics(settings)
    broker.publish(settings, app_there.rows())
    broker.close()
    await project(settings, {0: 0, 1: 0, 2: 0})
    held(settings, "held")
    waiting = f"memferry projector {settings.projection} waiting"

    def it_waits() -> bool:
        with psycopg.connect(settings.postgres.dsn) as conn:
            found = conn.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = %s", (waiting,)
            )
            return found.fetchone() is not None

    async with projecting(settings) as projector:
        await eventually(it_waits, "the projector waits")
        await asyncio.to_thread(fragile.kill_postgres)
        await asyncio.to_thread(fragile.restart_postgres)
        await eventually(it_waits, "the projector waits again")
        held(settings, "live")
        await eventually(lambda: projector.progress.applied == 1, "the event applied")


def held(settings: Settings, state: Any) -> None:
    with psycopg.connect(settings.postgres.dsn) as conn:
        set_state(conn, settings.projection, state, "a look back")


async def test_kafka_killed_under_a_projector_loses_and_doubles_nothing(
    fragile: Stack, settings_there: Settings, app_there: App
) -> None:
    settings, broker = settings_there, Broker(settings_there.kafka.bootstrap)
    record_history(app_there, 1_000)
    broker.make_topics(settings)
    broker.publish(settings, app_there.rows())
    broker.close()

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied > 50, "the first batches")
        await asyncio.to_thread(fragile.kill_kafka)
        await asyncio.to_thread(fragile.restart_kafka)
        before = len(app_there.rows())
        app_there.open("after-the-restart")
        again = await asyncio.to_thread(Broker, settings.kafka.bootstrap)
        again.publish(settings, app_there.rows()[before:])
        again.close()
        end = await ends(settings)
        await eventually(lambda: applied(settings) == end, "everything applied")

    with psycopg.connect(settings.postgres.dsn) as conn:
        assert tables(conn, settings.projection) == app_there.expected()
