"""A projection with a history, and replays of it."""

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from projector.control_tables import State, read_projection
from projector.replay.in_place import replay
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
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


async def replay_to(
    settings: Settings, position: Mapping[int, int], after: State = "held"
) -> dict[int, int]:
    return await replay(settings, DOMAIN, lambda conn, bounds: position, after)


async def replay_to_end(settings: Settings) -> dict[int, int]:
    return await replay(
        settings, DOMAIN, lambda conn, bounds: {p: end for p, (_, end) in bounds.items()}, "live"
    )


def state(conn: psycopg.Connection[Any], settings: Settings) -> tuple[str, str]:
    found = read_projection(conn, settings.projection)
    return found.state, found.reason


async def middle(settings: Settings) -> dict[int, int]:
    return {partition: end // 2 for partition, end in (await ends(settings)).items()}
