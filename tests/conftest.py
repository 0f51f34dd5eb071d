"""One real stack for the whole run; every test has a topic and a projection of its own."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack import Stack, ephemeral_stack
from schemas.settings import Kafka, Outbox, Postgres, Settings

LEDGER = "tests.domains.ledger"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A fresh embedded stack, removed at the end."""
    with ephemeral_stack() as running:
        yield running


@pytest.fixture
def make_settings(stack: Stack, tmp_path: Path) -> Callable[..., Settings]:
    """Return settings for a new topic, projection and outbox; keywords replace top-level fields."""
    endpoints = stack.endpoints()
    assert endpoints is not None

    def make(**changes: Any) -> Settings:
        name = f"t{secrets.token_hex(5)}"
        settings = Settings(
            source="app-1",
            topic=name,
            domain=LEDGER,
            projection=name,
            kafka=Kafka(bootstrap=endpoints.kafka, partitions=3),
            postgres=Postgres(dsn=endpoints.postgres),
            outbox=Outbox(path=f"{name}.db"),
            directory=str(tmp_path),
        )
        return msgspec.structs.replace(settings, **changes)

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of one source with a topic of its own."""
    return make_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the stack's database, autocommit."""
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        yield conn
