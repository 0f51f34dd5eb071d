"""Apps without a broker, closed at the end of their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import FerryError
from tests.eventlog.app import App


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
