"""A watched app: each container is mapped, excluded with a reason, or named."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from eventlog.extraction.watch import ExclusionRefused
from schemas.requests import AppWalked, ContainerDescription
from tests.eventlog.app import DEADLINE_S, App, account, closed, opened, readings, taken


class Engine:
    """An app's part that nobody told the shim of."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    """A shim whose app has an engine beside its registered containers."""
    app = make_app(accounts={"a": account("a")}, rings={"m": readings("m", 1)})
    app.engine = Engine(pending={"x": account("x")}, recent=deque([account("y")]))  # type: ignore[attr-defined]
    app.ferry.watch_app(app)
    return app


def walked(app: App) -> AppWalked:
    return app.ferry.describe().walked


PENDING = ContainerDescription("app.engine.pending", "dict of 1 Account")
RECENT = ContainerDescription("app.engine.recent", "deque of 1 Account")


def test_what_is_registered_is_mapped_and_everything_else_is_named(app: App) -> None:
    found = walked(app)

    assert found.unmapped == [PENDING, RECENT]
    assert found.paths == {"account": "app.accounts", "reading": "app.rings"}
    assert (found.apps, found.complete, found.excluded) == (1, True, {})


def test_a_store_is_named_by_where_it_is_in_the_app(app: App) -> None:
    assert [store.name for store in app.ferry.describe().stores] == ["app.accounts", "app.rings"]


def test_a_registered_container_is_found_while_it_is_empty(make_app: Callable[..., App]) -> None:
    app = make_app()
    app.ferry.watch_app(app)

    assert walked(app).paths == {"account": "app.accounts", "reading": "app.rings"}


@pytest.mark.parametrize("path", ["app.engine.pending", "engine.pending"])
def test_what_is_excluded_is_not_named_and_its_reason_is_kept(app: App, path: str) -> None:
    app.ferry.exclude(path, reason="derived")

    found = walked(app)

    assert found.unmapped == [RECENT]
    assert found.excluded == {path: "derived"}


def test_a_part_of_the_app_is_excluded_with_all_below_it(app: App) -> None:
    app.ferry.exclude("app.engine", reason="rebuilt at every start")

    assert walked(app).unmapped == []


def test_an_exclusion_of_what_is_not_there_is_told(app: App) -> None:
    app.ferry.exclude("app.engine.pendin", reason="derived")

    found = walked(app)

    assert found.excluded_unmet == ["app.engine.pendin"]
    assert PENDING in found.unmapped


@pytest.mark.parametrize(("path", "reason"), [("", "derived"), ("app.engine", " ")])
def test_an_exclusion_without_a_path_or_a_reason_is_refused(
    app: App, path: str, reason: str
) -> None:
    with pytest.raises(ExclusionRefused, match="needs a path and a reason"):
        app.ferry.exclude(path, reason=reason)


def test_a_container_that_comes_later_is_found_by_the_next_walk(app: App) -> None:
    app.ferry.exclude("app.engine", reason="derived")
    before = walked(app).unmapped
    app.late = {"z": account("z")}  # type: ignore[attr-defined]

    assert before == []
    assert [one.path for one in walked(app).unmapped] == ["app.late"]


def test_walks_beside_a_writer_come_to_their_end(app: App) -> None:
    ended = threading.Event()

    def write() -> None:
        number = 1
        while not ended.is_set():
            number += 1
            app.ferry.record_all([opened(str(number)), closed(str(number)), taken("m", number)])

    writer = threading.Thread(target=write)
    writer.start()
    found = [walked(app) for _ in range(50)]
    ended.set()
    writer.join(DEADLINE_S)

    assert all(one == found[0] for one in found)
    assert found[0].unmapped == [PENDING, RECENT]


def test_an_app_that_is_not_watched_has_nothing_to_map(make_app: Callable[..., App]) -> None:
    assert walked(make_app()) == AppWalked()
