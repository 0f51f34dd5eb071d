from typing import Any

import psycopg

from projector.log import Log
from projector.standing import Standing, standing
from schemas.settings import Settings
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import project


async def test_the_lag_is_what_the_log_holds_and_the_tables_do_not(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 4), *accounts_in(2, 2))
    broker.publish(topic, app.rows())
    await project(topic, {0: 3, 1: 0, 2: 2})

    async with Log(topic, f"{topic.topic}.1") as log:
        behind = await standing(database, log, topic.projection)
        await project(topic)
        there = await standing(database, log, topic.projection)

    assert (behind, behind.lag) == (Standing(5, 6, {}), 1)
    assert (there, there.lag) == (Standing(6, 6, {}), 0)


async def test_a_partition_that_stopped_says_why(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    broker.publish(topic, app.rows())
    broker.send(topic, 1, [b"garbage"])
    await project(topic)

    async with Log(topic, f"{topic.topic}.1") as log:
        found = await standing(database, log, topic.projection)

    assert list(found.stopped) == [1]
    assert found.lag == 1
