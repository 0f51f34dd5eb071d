"""A projection with a history, in a database of its own; the tests of this room share it."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.replay.beside import beside_of, drop
from schemas.settings import Kafka, Outbox, Settings
from schemas.settings import Postgres as Place
from tests.projector.app import App
from tests.projector.broker import Broker
from tests.projector.projecting import project


class History(NamedTuple):
    """An app and its topic; `settings` name its database."""

    settings: Settings
    app: App
    broker: Broker

    def write(self, *names: str) -> None:
        """Open accounts, and have them in the topic; no projector is asked."""
        sent = len(self.app.rows())
        self.app.open(*names)
        self.broker.publish(self.settings, self.app.rows()[sent:])


@pytest.fixture(scope="session")
def new_database(stack: Stack) -> Iterator[Callable[[Settings], Settings]]:
    """Return settings with a new, empty database, as on a new server."""
    names: list[str] = []

    def by_superuser(statement: str) -> None:
        # Not kept open: other tests look at who is connected.
        url = Postgres(stack.directory).superuser_url
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute(statement)

    def make(settings: Settings) -> Settings:
        names.append(f"t{secrets.token_hex(5)}")
        by_superuser(f"CREATE DATABASE {names[-1]} OWNER memferry")
        dsn = make_conninfo(settings.postgres.dsn, dbname=names[-1])
        there = msgspec.structs.replace(settings.postgres, dsn=dsn)
        return msgspec.structs.replace(settings, postgres=there)

    yield make
    for name in names:
        by_superuser(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def history(
    stack: Stack,
    broker: Broker,
    new_database: Callable[[Settings], Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[History]:
    """Forty accounts, ten of them closed again, and readings, all in the tables."""
    endpoints = stack.endpoints()
    assert endpoints is not None
    name = f"t{secrets.token_hex(5)}"
    settings = new_database(
        Settings(
            source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
            kafka=Kafka(bootstrap=endpoints.kafka, partitions=3),
            postgres=Place(endpoints.postgres), outbox=Outbox(path="outbox.db"),
            directory=str(tmp_path_factory.mktemp("backups")),
        )
    )  # fmt: skip
    broker.make_topics(settings)
    app = App(settings)
    for number in range(40):
        app.open(f"acc-{number}", tags={"n": str(number)})
        app.deposit(f"acc-{number}", number)
        app.read(f"meter-{number % 5}", number)
        if number % 4 == 0:
            app.end(f"acc-{number}")
    broker.publish(settings, app.rows())
    yield History(settings, app, broker)
    app.close()


@pytest.fixture
async def settings(history: History, tmp_path: Any) -> Settings:
    """The history's settings, with an empty directory for backups; everything is applied."""
    mine = msgspec.structs.replace(history.settings, directory=str(tmp_path))
    await project(mine)
    with psycopg.connect(mine.postgres.dsn, autocommit=True) as conn:
        for left in beside_of(conn, mine.projection):
            drop(conn, left.name)
    return mine


@pytest.fixture
def database(history: History) -> Iterator[psycopg.Connection[Any]]:
    """A connection to that database, autocommit."""
    with psycopg.connect(history.settings.postgres.dsn, autocommit=True) as conn:
        yield conn
