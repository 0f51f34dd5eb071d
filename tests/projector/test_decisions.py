"""Decisions: made here, announced once Kafka has them, and brought back from there."""

from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.control_tables import establish
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.log import BrokerUnreachable
from projector.migration import fences
from projector.route import ReadRoute, read_route
from schemas.control import Decision, ReadsSwitched, SavepointTaken, SwitchAborted
from schemas.settings import Kafka, Settings
from tests.domains.ledger import DOMAIN

pytestmark = pytest.mark.usefixtures("projection", "topic")


def switched(settings: Settings, route: Any, epoch: int) -> ReadsSwitched:
    heads = {"app-1": {0: 5, 1: 6, 2: 7}}
    return ReadsSwitched(settings.projection, route, epoch, "f-1", heads, "ada@desk")


def aborted(settings: Settings, epoch: int) -> SwitchAborted:
    return SwitchAborted(settings.projection, "cutover", epoch, "f-2", "late", "ada@desk")


def savepoint(settings: Settings, name: str) -> SavepointTaken:
    offsets = {0: 1, 1: 2, 2: 3}
    return SavepointTaken(name, settings.projection, settings.topic, 1, offsets, "ada@desk")


def made(conn: psycopg.Connection[Any], settings: Settings, *events: Decision) -> None:
    for event in events:
        with conn.transaction():
            assert decide(conn, settings, event)


def epoch(conn: psycopg.Connection[Any], settings: Settings) -> int | None:
    row = conn.execute(
        "SELECT epoch FROM memferry.epoch WHERE topic = %s", (settings.topic,)
    ).fetchone()
    return row[0] if row else None


async def test_a_switch_is_announced_only_once_kafka_has_it(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    nowhere = Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)
    database.execute("LISTEN memferry_route")

    made(database, settings, switched(settings, "postgres", 7))
    with pytest.raises(BrokerUnreachable, match="not published yet"):
        await publish_decisions(database, msgspec.structs.replace(settings, kafka=nowhere))
    before = read_route(database, settings.projection)
    told_before = list(database.notifies(timeout=0, stop_after=1))
    published = await publish_decisions(database, settings)
    told = [n.payload for n in database.notifies(timeout=5, stop_after=1)]

    assert before == ReadRoute("memory", 1, 0)
    assert told_before == []
    assert published == 1
    assert told == [settings.projection]
    assert read_route(database, settings.projection) == ReadRoute("postgres", 7, 1)
    assert epoch(database, settings) == 7
    assert await publish_decisions(database, settings) == 0


async def test_a_decision_that_is_taken_back_with_its_transaction_was_never_made(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    with database.transaction(force_rollback=True):
        decide(database, settings, switched(settings, "postgres", 2))

    assert await publish_decisions(database, settings) == 0
    assert read_route(database, settings.projection).route == "memory"


async def test_an_empty_database_learns_everything_again_from_the_control_topic(
    settings: Settings, database: psycopg.Connection[Any], own_database: Settings
) -> None:
    made(
        database, settings,
        switched(settings, "shadow", 1), savepoint(settings, "here"),
        switched(settings, "postgres", 4), aborted(settings, 9),
    )  # fmt: skip
    await publish_decisions(database, settings)
    with psycopg.connect(own_database.postgres.dsn, autocommit=True) as empty:
        establish(empty, own_database, DOMAIN, 3)

        await read_control(empty, own_database)

        assert read_route(empty, settings.projection) == ReadRoute("postgres", 4, 3)
        assert epoch(empty, settings) == 9
        names = empty.execute("SELECT name, offsets FROM memferry.savepoint").fetchall()
        assert names == [("here", {"0": 1, "1": 2, "2": 3})]
        assert await publish_decisions(empty, own_database) == 0
        asked = fences.ask(empty, own_database, settings.projection, "cutover")
        assert asked.epoch == 10  # above every epoch that was ever asked for


async def test_decisions_made_after_that_go_on_in_the_same_lane(
    settings: Settings, database: psycopg.Connection[Any], own_database: Settings
) -> None:
    made(database, settings, switched(settings, "postgres", 4))
    await publish_decisions(database, settings)
    with psycopg.connect(own_database.postgres.dsn, autocommit=True) as restored:
        establish(restored, own_database, DOMAIN, 3)
        await read_control(restored, own_database)
        made(restored, own_database, switched(settings, "memory", 5))
        await publish_decisions(restored, own_database)

    await read_control(database, settings)

    assert read_route(database, settings.projection) == ReadRoute("memory", 5, 2)


async def test_an_earlier_switch_that_comes_again_changes_nothing(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    made(database, settings, switched(settings, "postgres", 4), switched(settings, "memory", 5))
    await publish_decisions(database, settings)
    database.execute("UPDATE memferry.decision SET published = false WHERE topic = %s",
                     (f"{settings.topic}.control",))  # fmt: skip

    assert await publish_decisions(database, settings) == 2
    again = read_route(database, settings.projection)
    await read_control(database, settings)

    assert again == ReadRoute("memory", 5, 2)
    assert read_route(database, settings.projection) == again
    assert epoch(database, settings) == 5


def test_an_epoch_is_above_every_lanes_even_where_its_row_is_lost(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    first = fences.ask(database, settings, settings.projection, "hold").epoch
    database.execute(
        "INSERT INTO memferry.lane VALUES (%s, 'app-1', 1, 0, 1, %s, 30)",
        (settings.projection, "0" * 64),
    )
    database.execute("DELETE FROM memferry.epoch WHERE topic = %s", (settings.topic,))

    second = fences.ask(database, settings, settings.projection, "cutover").epoch

    assert (first, second) == (2, 31)
