"""An outbox that does not continue what the topic holds is refused, and so is a second relay."""

import asyncio
import shutil
from collections.abc import Callable

import msgspec
import pytest

from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.opening import RelayInUse
from eventlog.relay import OutboxBehindTopic, OutboxForked, Relay
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App, opened, rows_of
from tests.eventlog.broker import (
    app_without_relay,
    records_of,
)
from tests.eventlog.relay_steps import copy_outbox, left_behind, relay_until, with_topics


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings whose topics are there."""
    return with_topics(make_settings())


@pytest.fixture
def app(settings: Settings) -> App:
    """A closed app with forty events and more in its outbox."""
    return left_behind(settings)


async def test_a_second_relay_on_an_outbox_is_refused(app: App, settings: Settings) -> None:
    first = Relay(settings, lambda row: None)
    running = asyncio.create_task(first.run())
    await asyncio.sleep(0)

    with pytest.raises(RelayInUse, match="another relay serves this outbox") as caught:
        await asyncio.wait_for(Relay(settings, lambda row: None).run(), DEADLINE_S)

    assert caught.value.where == str(settings.outbox_path)
    assert caught.value.remedy
    first.stop()
    await asyncio.wait_for(running, DEADLINE_S)
    assert await relay_until(settings, len(rows_of(app.path)))


def test_an_old_copy_of_an_outbox_is_refused(app: App, settings: Settings) -> None:
    old = copy_outbox(app.path, "old.db")
    again = app_without_relay(settings)
    again.ferry.record_all([opened(f"x-{n}") for n in range(20)])[-1].durable(DEADLINE_S)
    again.close()
    asyncio.run(relay_until(settings, len(rows_of(app.path))))
    before = records_of(settings)
    shutil.copy(old, app.path)

    with pytest.raises(OutboxBehindTopic, match="it is an old copy") as caught:
        asyncio.run(relay_until(settings, 1_000))

    assert str(app.path) in caught.value.where
    assert "source 'app-1'" in caught.value.where
    assert "newest outbox file" in caught.value.remedy
    assert records_of(settings) == before


def test_a_forked_outbox_is_refused(app: App, settings: Settings) -> None:
    fork = copy_outbox(app.path, "fork.db")
    forked = msgspec.structs.replace(
        settings, outbox=msgspec.structs.replace(settings.outbox, path=fork.name)
    )
    for one, name in ((settings, "mine"), (forked, "theirs")):
        other = app_without_relay(one)
        other.ferry.record_all([opened(f"{name}-{n}") for n in range(20)])[-1].durable(DEADLINE_S)
        other.close()
    asyncio.run(relay_until(settings, len(rows_of(app.path))))
    before = records_of(settings)

    with pytest.raises((OutboxForked, OutboxBehindTopic)) as caught:
        asyncio.run(relay_until(forked, 1_000))

    assert str(fork) in caught.value.where
    assert caught.value.remedy
    assert records_of(settings) == before


def test_a_forked_outbox_of_the_same_length_is_refused(settings: Settings) -> None:
    names = ("mine", "theirs")
    outboxes = {
        name: msgspec.structs.replace(
            settings, outbox=msgspec.structs.replace(settings.outbox, path=f"{name}.db")
        )
        for name in names
    }
    for name, one in outboxes.items():
        app = app_without_relay(one)
        app.ferry.record_all([opened(str(n), owner=name) for n in range(20)])[-1].durable(
            DEADLINE_S
        )
        app.close()
    asyncio.run(relay_until(outboxes["mine"], 20))

    with pytest.raises(OutboxForked, match="two outboxes wrote as this source") as caught:
        asyncio.run(relay_until(outboxes["theirs"], 20))

    assert "partition" in caught.value.where
    assert "retire" in caught.value.remedy


def test_a_relay_without_an_outbox_is_refused(settings: Settings) -> None:
    with pytest.raises(OutboxInvalid, match="there is no outbox file") as caught:
        Relay(settings, lambda row: None)

    assert "start the app once" in caught.value.remedy
