"""Apps without a broker, and apps on the session's broker, closed at the end of their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from eventlog.shim import Ferry
from projector.migration import fences
from projector.migration.fences import Fence, Purpose
from schemas.errors import FerryError
from schemas.settings import Postgres, Settings
from tests.domains.ledger import Account
from tests.eventlog.app import DEADLINE_S, App, new_rings
from tests.eventlog.attached import Attached
from tests.eventlog.deciding import LONG_MS
from tests.eventlog.writer import Writer


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Return apps on one outbox file; keywords go to the app."""
    apps: list[App] = []

    def make(path: Path | None = None, **given: Any) -> App:
        apps.append(App(path or tmp_path / "outbox.db", **given))
        return apps[-1]

    yield make
    for app in apps:
        try:
            app.close()
        except FerryError:  # a test may have broken it for good
            continue


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    """An app with empty containers and a new outbox."""
    return make_app()


@pytest.fixture
def kafka_settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings without a database: what is recorded goes to Kafka and no further."""
    return make_settings(postgres=Postgres())


@pytest.fixture
def attach(kafka_settings: Settings) -> Iterator[Callable[..., Ferry]]:
    """Attach with both containers registered; closed at the end."""
    ferries: list[Ferry] = []

    def make(given: Settings | None = None, accounts: dict[str, Account] | None = None) -> Ferry:
        ferry = eventlog.attach(given or kafka_settings)
        ferries.append(ferry)
        ferry.register("account", {} if accounts is None else accounts)
        ferry.register("reading", new_rings())
        return ferry

    yield make
    for ferry in ferries:
        try:
            ferry.close(DEADLINE_S)
        except FerryError:  # a test may have left it with nobody to send to
            continue


@pytest.fixture
def make_writer(
    settings: Settings, database: psycopg.Connection[Any]
) -> Iterator[Callable[..., Writer]]:
    """Return apps that PostgreSQL reaches and Kafka does not; they are not started."""
    writers: list[Writer] = []

    def make(given: Settings = settings) -> Writer:
        writers.append(Writer(given, database))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close()


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    """One of them, started."""
    return make_writer().start()


@pytest.fixture
def attached(settings: Settings) -> Iterator[Attached]:
    """One that is attached, closed at the end."""
    app = Attached(settings)
    yield app
    app.ferry.close(DEADLINE_S)


@pytest.fixture
def ask(settings: Settings, database: psycopg.Connection[Any]) -> Callable[..., Fence]:
    """Ask for a fence as the deciding side does."""

    def ask(purpose: Purpose, lease_ms: int = LONG_MS, projection: str = "") -> Fence:
        lease = msgspec.structs.replace(settings.migration, max_downtime_ms=lease_ms)
        given = msgspec.structs.replace(settings, migration=lease)
        return fences.ask(database, given, projection or settings.projection, purpose)

    return ask
