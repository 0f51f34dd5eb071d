"""The writing thread looks by itself while events come, and is woken where somebody waits."""

import threading
from collections.abc import Callable

import pytest

from eventlog import commit
from tests.eventlog.app import DEADLINE_S, App, opened, rows_of
from tests.projector.waiting import until

LONG_S = 600.0

MakeApp = Callable[..., App]


def durable_rows(app: App) -> int:
    return app.ferry.stats()["durable_row"]


@pytest.fixture
def napping_app(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app whose writing thread does not look by itself for a long time."""
    monkeypatch.setattr(commit, "_NAP_S", LONG_S)
    return make_app()


@pytest.fixture
def idle_app(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app whose writing thread takes no naps and does not look by itself for a long time."""
    monkeypatch.setattr(commit, "_NAPS", 0)
    monkeypatch.setattr(commit, "_IDLE_S", LONG_S)
    return make_app()


def test_an_event_that_nobody_waits_for_becomes_durable(app: App) -> None:
    for number in range(20):
        app.ferry.record(opened(str(number)))
        until(lambda: durable_rows(app) == number + 1, "the event is durable")  # noqa: B023


def test_who_waits_for_a_receipt_does_not_wait_for_a_nap(napping_app: App) -> None:
    for number in range(50):
        napping_app.ferry.record(opened(str(number))).durable(DEADLINE_S)

    assert durable_rows(napping_app) == 50


async def test_who_waits_in_asyncio_does_not_wait_for_a_nap(napping_app: App) -> None:
    for number in range(50):
        await napping_app.ferry.record(opened(str(number))).until_durable(DEADLINE_S)

    assert durable_rows(napping_app) == 50


def test_who_waits_for_what_is_not_recorded_yet_is_told_after_it_was(app: App) -> None:
    reached = threading.Event()

    def wait() -> None:
        app.ferry.durable.wait(1, DEADLINE_S)
        reached.set()

    waiting = threading.Thread(target=wait)
    waiting.start()

    app.ferry.record(opened("a"))

    assert reached.wait(DEADLINE_S)
    waiting.join()


def test_who_finds_the_queue_full_does_not_wait_for_a_nap(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_NAP_S", LONG_S)
    app = make_app(queue_events=2)

    recording = threading.Thread(
        target=lambda: [app.ferry.record(opened(str(number))) for number in range(50)], daemon=True
    )
    recording.start()
    recording.join(DEADLINE_S)

    assert not recording.is_alive()


def test_a_close_does_not_wait_for_a_nap(napping_app: App) -> None:
    napping_app.ferry.record(opened("a"))

    napping_app.close()

    assert len(rows_of(napping_app.path)) == 1


def test_an_idle_thread_is_woken_by_the_next_event(idle_app: App) -> None:
    for number in range(50):
        idle_app.ferry.record(opened(str(number)))
        until(lambda: durable_rows(idle_app) == number + 1, "the event is durable")  # noqa: B023
