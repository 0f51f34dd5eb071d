"""The switch itself: where it stops, readers and writers are where they were."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.log import BrokerUnreachable
from projector.migration.fences import FenceBroken
from projector.migration.switch import switch, switch_without_fence
from projector.route import followers, read_route
from projector.sql import query
from schemas.position import control_topic
from schemas.settings import Kafka
from tests.projector.migration.stage import DEADLINE_S, Stage, changed


@pytest.fixture
def stage(make_stage: Callable[..., Stage], database: psycopg.Connection[Any]) -> Stage:
    """An app that writes; its tables follow."""
    stage = make_stage()
    stage.project()
    stage.ferry.snapshot()
    assert stage.ferry.snapshot_done.wait(DEADLINE_S)
    stage.deposit("w-0").applied(DEADLINE_S)
    asyncio.run(read_control(database, stage.settings))
    stage.write()
    return stage


def route(conn: psycopg.Connection[Any], stage: Stage) -> str:
    return read_route(conn, stage.settings.projection).route


def test_reads_move_there_and_back_and_every_source_follows(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    settings, name = stage.settings, stage.settings.projection

    asyncio.run(switch_without_fence(database, settings, name, "shadow", ["app-1"]))
    shadow = stage.ferry.reads.route.now.route
    there = asyncio.run(switch(database, settings, name, "postgres", ["app-1"]))
    followed = followers(database, name), stage.ferry.reads.route.now.route
    stage.wrote_on()
    back = asyncio.run(switch(database, settings, name, "memory", ["app-1"]))
    stage.rest()

    assert shadow == "shadow"
    assert followed == ({"app-1"}, "postgres")
    assert stage.ferry.reads.route.now.route == "memory"
    assert (there.route, back.route) == ("postgres", "memory")
    assert there.pauses_ms.keys() == back.pauses_ms.keys() == {"app-1"}
    assert there.pause_ms == there.pauses_ms["app-1"]
    assert there.epoch < back.epoch
    stage.require_nothing_lost()


def test_a_way_back_needs_no_projector(stage: Stage, database: psycopg.Connection[Any]) -> None:
    settings, name = stage.settings, stage.settings.projection
    asyncio.run(switch(database, settings, name, "postgres", ["app-1"]))

    stage.stop_projecting()
    stage.wrote_on()
    back = asyncio.run(switch(database, settings, name, "memory", ["app-1"]))

    assert back.route == route(database, stage) == "memory"


def test_a_source_that_is_silent_breaks_every_attempt_and_each_is_noted(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    settings = changed(stage.settings, max_downtime_ms=1_000, cutover_attempts=2)
    name = stage.settings.projection

    with pytest.raises(FenceBroken, match="app-2 silent"):
        asyncio.run(switch(database, settings, name, "postgres", ["app-1", "app-2"]))
    stage.wrote_on()

    assert route(database, stage) == "memory"
    aborted = database.execute(
        "SELECT state, noted FROM memferry.fence WHERE projection = %s", (name,)
    ).fetchall()
    assert aborted == [("aborted", True)] * 2


def test_a_switch_that_kafka_has_not_is_decided_and_announced_later(
    stage: Stage, database: psycopg.Connection[Any]
) -> None:
    settings, name = stage.settings, stage.settings.projection
    away = Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)

    with pytest.raises(BrokerUnreachable, match="made but not published"):
        asyncio.run(
            switch(
                database, msgspec.structs.replace(settings, kafka=away), name, "postgres", ["app-1"]
            )
        )
    stage.wrote_on()  # writers go on all the same
    between = route(database, stage)
    asyncio.run(publish_decisions(database, settings))

    assert between == "memory"
    assert route(database, stage) == "postgres"


def test_no_writer_stands_still_while_the_control_topic_is_being_read(
    stage: Stage, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projector.migration.switch._LOCK_MS", 200)
    name = stage.settings.projection
    with psycopg.connect(stage.settings.postgres.dsn) as reading:
        reading.execute(query("control_lock"), (control_topic(stage.settings.topic),))

        with pytest.raises(FenceBroken, match="control topic is being read"):
            asyncio.run(switch(database, stage.settings, name, "postgres", ["app-1"]))

    asked = database.execute("SELECT FROM memferry.fence WHERE projection = %s", (name,))
    assert asked.fetchall() == []
    assert database.execute("SHOW lock_timeout").fetchone() == ("0",)
