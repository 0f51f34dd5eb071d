from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.control_tables import Projection, ProjectionMissing
from projector.log import BrokerUnreachable
from projector.replay.savepoint_drop import drop, find
from projector.replay.savepoints import (
    SavepointExists,
    checkpoint_position,
    list_all,
    take,
    take_at_time,
    take_automatic,
)
from projector.replay.target import SavepointUnknown
from projector.trail import actor
from schemas.position import Position
from schemas.settings import Kafka, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import project
from tests.projector.replaying import replay_to


@pytest.fixture
async def projected(app: App, broker: Broker, topic: Settings) -> App:
    app.open("a", "b", "c", "d")
    broker.publish(topic, app.rows())
    await project(topic)
    return app


async def test_a_savepoint_names_the_position_that_is_applied(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    position = checkpoint_position(database, settings.projection)

    taken = await take(database, settings, settings.projection, "before")

    assert position == Position(settings.topic, 1, taken.offsets)
    assert sum(taken.offsets.values()) == 4
    assert taken.taken_by == actor()
    assert list_all(database, settings.projection) == [taken]
    assert find(database, settings.projection, "before").offsets == taken.offsets


async def test_a_savepoint_never_moves(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    taken = await take(database, settings, settings.projection, "before")
    count = len(projected.rows())
    projected.open("e")
    broker.publish(settings, projected.rows()[count:])
    await project(settings)

    with pytest.raises(SavepointExists) as refused:
        await take(database, settings, settings.projection, "before")

    assert "'before' exists" in refused.value.what
    assert "memferry savepoint list" in refused.value.remedy
    assert list_all(database, settings.projection) == [taken]


async def test_savepoints_are_listed_in_the_order_they_were_taken(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    for name in ("zebra", "apple", "münchen 1"):
        await take(database, settings, settings.projection, name)

    names = [savepoint.name for savepoint in list_all(database, settings.projection)]

    assert names == ["zebra", "apple", "münchen 1"]


async def test_each_projection_has_its_own_names(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    other = msgspec.structs.replace(settings, projection=f"{settings.projection}_b")
    await project(other)

    first = await take(database, settings, settings.projection, "before")
    second = await take(database, other, other.projection, "before")

    assert list_all(database, settings.projection) == [first]
    assert list_all(database, other.projection) == [second]


async def test_an_unknown_name_is_answered_with_the_names_there_are(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SavepointUnknown, match="'nowhere'") as none_yet:
        find(database, settings.projection, "nowhere")
    await take(database, settings, settings.projection, "before")
    await take(database, settings, settings.projection, "after")

    with pytest.raises(SavepointUnknown) as unknown:
        find(database, settings.projection, "nowhere")

    assert none_yet.value.remedy == "savepoints: none was taken yet"
    assert unknown.value.remedy == "savepoints: before, after"
    assert unknown.value.where == f"projection {settings.projection}"


async def test_a_savepoint_is_in_the_trail(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await take(database, settings, settings.projection, "before")

    noted = database.execute(
        "SELECT action, after ->> 'name', after ->> 'position' FROM memferry.trail "
        "WHERE after ->> 'projection' = %s",
        (settings.projection,),
    ).fetchall()

    position = str(checkpoint_position(database, settings.projection))
    assert noted == [("savepoint taken", "before", position)]


async def test_without_kafka_no_savepoint_is_taken(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    away = msgspec.structs.replace(
        settings, kafka=Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)
    )

    with pytest.raises(BrokerUnreachable):
        await take(database, away, settings.projection, "before")

    assert list_all(database, settings.projection) == []


async def test_a_database_restored_from_an_older_copy_learns_the_log_before_it_decides(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await take(database, settings, settings.projection, "first")
    for table in ("savepoint", "decision", "control_lane", "control_checkpoint"):
        where = "projection = %s" if table == "savepoint" else "starts_with(topic, %s)"
        database.execute(f"DELETE FROM memferry.{table} WHERE {where}", (settings.topic,))

    await take(database, settings, settings.projection, "second")

    names = [savepoint.name for savepoint in list_all(database, settings.projection)]
    assert names == ["first", "second"]


def test_savepoints_of_a_projection_that_is_not_there_are_an_error(
    database: psycopg.Connection[Any],
    projection: Projection,
    make_settings: Callable[..., Settings],
) -> None:
    with pytest.raises(ProjectionMissing):
        list_all(database, make_settings().projection)


async def test_one_that_is_taken_automatically_says_before_what_and_when(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    taken = await take_automatic(database, settings, settings.projection, "rollback")

    at = taken.taken_at.astimezone(UTC)
    assert datetime.strptime(taken.name, "before-rollback-%Y-%m-%dT%H-%M-%S%z") <= at
    assert taken.purpose == "before-rollback"
    assert list_all(database, settings.projection) == [taken]


async def test_two_of_one_second_have_two_names(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    at = datetime(2026, 11, 26, 20, 30, 5, tzinfo=timezone(timedelta(hours=1)))

    for _ in range(3):
        await take_at_time(database, settings, settings.projection, "before-void", at)

    names = [point.name for point in list_all(database, settings.projection)]
    first = "before-void-2026-11-26T19-30-05Z"
    assert names == [first, f"{first}-2", f"{first}-3"]


async def test_what_somebody_notes_stays_with_it(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await take(database, settings, settings.projection, "before", remark="the new fee table")

    (listed,) = list_all(database, settings.projection)

    assert (listed.note, listed.purpose, listed.tables) == ("the new fee table", "", "")


async def test_the_log_alone_brings_back_tables_and_savepoints(
    app: App, broker: Broker, topic: Settings, own_database: Settings
) -> None:
    settings = own_database
    app.open("a", "b", "c", "d")
    broker.publish(topic, app.rows())
    await project(settings)
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        await take(conn, settings, settings.projection, "given up")
        taken = await take(conn, settings, settings.projection, "before", remark="why", keep=DOMAIN)
        await drop(conn, settings, settings.projection, "given up")
        then, count = tables(conn, settings.projection), len(app.rows())
        app.deposit("a", 5)
        broker.publish(topic, app.rows()[count:])
        await project(settings)
        (beside,) = conn.execute("SELECT name FROM memferry.beside").fetchone() or ("",)
        for schema in ("memferry", settings.projection, beside):
            conn.execute(f"DROP SCHEMA {schema} CASCADE")

        await project(settings)
        rebuilt = tables(conn, settings.projection)
        (restored,) = list_all(conn, settings.projection)
        await replay_to(settings, find(conn, settings.projection, "before").offsets)

        assert rebuilt == app.expected()
        # What was kept is gone with the database, all else is in the control topic.
        assert restored == msgspec.structs.replace(taken, taken_at=restored.taken_at, tables="")
        with pytest.raises(SavepointExists, match="'given up', dropped at"):
            await take(conn, settings, settings.projection, "given up")
        assert tables(conn, settings.projection) == then
