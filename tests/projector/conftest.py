"""A broker to write to by hand, an app, and a projection without a projector."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.control_tables import Projection, establish
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App
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
def make_app() -> Iterator[Callable[[Settings], App]]:
    """Return apps that are closed at the end."""
    apps: list[App] = []

    def make(settings: Settings) -> App:
        apps.append(App(settings))
        return apps[-1]

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(settings: Settings, make_app: Callable[[Settings], App]) -> App:
    """An app with an outbox of its own."""
    return make_app(settings)


@pytest.fixture
def topic(broker: Broker, settings: Settings) -> Settings:
    """The settings, with empty topics made for them."""
    broker.make_topics(settings)
    return settings


@pytest.fixture
def projection(settings: Settings, database: psycopg.Connection[Any]) -> Projection:
    """An established projection with empty tables; Kafka has no part in it."""
    return establish(database, settings, DOMAIN, settings.kafka.partitions)


@pytest.fixture
def own_database(stack: Stack, settings: Settings) -> Iterator[Settings]:
    """The settings with a database that nobody else uses."""
    with psycopg.connect(Postgres(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {settings.projection} OWNER memferry")
        dsn = make_conninfo(settings.postgres.dsn, dbname=settings.projection)
        there = msgspec.structs.replace(settings.postgres, dsn=dsn)
        yield msgspec.structs.replace(settings, postgres=there)
        superuser.execute(f"DROP DATABASE {settings.projection} WITH (FORCE)")
