"""Lives of apps on the run's Kafka and PostgreSQL."""

from collections.abc import Callable, Iterator

import pytest

from compose.stack import Stack
from schemas.settings import Settings
from tests.eventlog.restart.life import Life
from tests.projector.broker import Broker


@pytest.fixture(scope="session")
def broker(stack: Stack) -> Iterator[Broker]:
    """Writes to the session's Kafka."""
    endpoints = stack.endpoints()
    assert endpoints is not None
    broker = Broker(endpoints.kafka)
    yield broker
    broker.close()


@pytest.fixture
def make_life(broker: Broker) -> Iterator[Callable[..., Life]]:
    """Return apps that are stopped at the end."""
    lives: list[Life] = []

    def make(settings: Settings, *, topics: bool = True) -> Life:
        lives.append(Life(settings, broker, topics=topics))
        return lives[-1]

    yield make
    for life in lives:
        life.stop()


@pytest.fixture
def life(settings: Settings, make_life: Callable[..., Life]) -> Life:
    """An app with a topic of its own."""
    return make_life(settings)
