"""A projection with a history, and replays of it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projector.control_tables import read_projection
from projector.replay.beside import beside_of, drop
from schemas.settings import Settings
from tests.projector.app import App
from tests.projector.broker import Broker
from tests.projector.projecting import ends, project


@pytest.fixture
async def projected(app: App, broker: Broker, topic: Settings) -> App:
    """An app whose whole history is in the tables."""
    for number in range(40):
        app.open(f"acc-{number}", tags={"n": str(number)})
        app.deposit(f"acc-{number}", number)
        app.read(f"meter-{number % 5}", number)
        if number % 4 == 0:
            app.end(f"acc-{number}")
    broker.publish(topic, app.rows())
    await project(topic)
    return app


@pytest.fixture
def live(projected: App, settings: Settings, database: psycopg.Connection[Any]) -> Iterator[str]:
    """A projection with rows."""
    yield settings.projection
    for one in beside_of(database, settings.projection):
        drop(database, one.name)


def state(conn: psycopg.Connection[Any], settings: Settings) -> tuple[str, str]:
    found = read_projection(conn, settings.projection)
    return found.state, found.reason


async def middle(settings: Settings) -> dict[int, int]:
    return {partition: end // 2 for partition, end in (await ends(settings)).items()}
