"""PostgreSQL for the outboxes that are in it; the others start nothing."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import Stack
from eventlog.outbox.postgres import PostgresOutbox
from eventlog.outbox.postgres_place import Place
from tests.eventlog.app import IDENTITY
from tests.eventlog.outbox.appender import DSN


@pytest.fixture(autouse=True)
def outbox_server(request: pytest.FixtureRequest) -> None:
    """Say to this process and its children where PostgreSQL is, where a test is given one."""
    if re.search(r"\[.*postgres.*\]|_postgres_", request.node.name):
        endpoints = request.getfixturevalue("stack").endpoints()
        assert endpoints is not None
        os.environ[DSN] = endpoints.postgres


@pytest.fixture
def dsn(stack: Stack) -> str:
    endpoints = stack.endpoints()
    assert endpoints is not None
    return endpoints.postgres


@pytest.fixture
def place(dsn: str, tmp_path: Path) -> Place:
    return Place(dsn, f"outbox {tmp_path.name}"[-60:])


@pytest.fixture
def opened(place: Place) -> Iterator[Callable[..., PostgresOutbox]]:
    made: list[PostgresOutbox] = []

    def open_outbox(given: Place = place, **more: Any) -> PostgresOutbox:
        made.append(PostgresOutbox(given, IDENTITY, **more))
        return made[-1]

    yield open_outbox
    for outbox in made:
        outbox.close()
