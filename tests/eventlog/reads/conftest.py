from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from schemas.settings import Settings
from tests.eventlog.app import App
from tests.eventlog.reads.followed import Followed


@pytest.fixture
def followed(
    make_app: Callable[..., App], settings: Settings, database: psycopg.Connection[Any]
) -> Iterator[Followed]:
    """An app on the memory route, with tables that follow when they are told to."""
    followed = Followed(make_app(), settings, database)
    yield followed
    followed.close()
