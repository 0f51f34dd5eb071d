"""Attaching the shim to an app, and retiring it, on a real broker."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import eventlog
from eventlog.driver import DriverMissing
from eventlog.outbox.contract import OutboxInUse, OutboxInvalid
from eventlog.relay import OutboxBehindTopic, OutboxForked
from eventlog.shim import Ferry
from eventlog.topic import BrokerUnreachable, TopicUnsafe
from schemas.control import SourceOpened
from schemas.domain import DomainInvalid
from schemas.errors import SettingsInvalid
from schemas.position import control_topic
from schemas.settings import Postgres, Settings
from tests.domains.ledger import DOMAIN, Account
from tests.eventlog.app import (
    DEADLINE_S,
    account,
    by_number,
    closed,
    deposited,
    new_rings,
    opened,
    rows_of,
    taken,
)
from tests.eventlog.broker import (
    app_without_relay,
    by_lane,
    closed_port,
    control_events,
    events_of,
    make_topic,
    with_kafka,
)

Attach = Callable[..., Ferry]


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    return kafka_settings


def test_what_is_recorded_is_durable_and_then_in_kafka(attach: Attach, settings: Settings) -> None:
    accounts: dict[str, Account] = {}
    ferry = attach(accounts=accounts)

    receipts = ferry.record_all([opened("a"), deposited("a", 5, 5), taken("m", 1)])

    for receipt in receipts:
        receipt.durable(DEADLINE_S)
        receipt.replicated(DEADLINE_S)
    assert accounts == {"a": account("a", 5)}
    assert ferry.stats()["unsent"] == 0
    assert events_of(settings) == by_lane(rows_of(settings.outbox_path))


def test_a_new_source_opens_itself_once(attach: Attach, settings: Settings) -> None:
    for number in range(2):
        ferry = attach()
        assert ferry.restored is bool(number)
        ferry.record(opened(str(number))).replicated(DEADLINE_S)
        ferry.close(DEADLINE_S)

    (event,) = control_events(settings)
    assert isinstance(event, SourceOpened)
    assert (event.source, event.topic, event.generation) == ("app-1", settings.topic, 1)
    assert (event.partitions, event.pid) == (3, os.getpid())


def test_close_hands_everything_to_kafka(attach: Attach, settings: Settings) -> None:
    ferry = attach()
    ferry.record_all([opened(str(number)) for number in range(3_000)])

    ferry.close(DEADLINE_S)

    assert events_of(settings) == by_lane(rows_of(settings.outbox_path))
    assert sum(map(len, events_of(settings).values())) == 3_001


def test_memory_is_as_it_was_after_a_restart(attach: Attach, settings: Settings) -> None:
    accounts = {"old": account("old", 3)}
    ferry = attach(accounts=accounts)
    ferry.snapshot()
    assert ferry.snapshot_done.wait(DEADLINE_S)
    ferry.record_all([opened("a"), deposited("a", 5, 5), opened("b"), closed("b")])
    ferry.close(DEADLINE_S)
    again: dict[str, Account] = {}

    attach(accounts=again)

    assert again == accounts == {"old": account("old", 3), "a": account("a", 5)}


async def test_an_app_may_attach_inside_its_event_loop(attach: Attach) -> None:
    ferry = attach()

    receipt = ferry.record(opened("a"))

    await receipt.until_durable(DEADLINE_S)
    await receipt.until_replicated(DEADLINE_S)
    await asyncio.to_thread(ferry.close, DEADLINE_S)


def test_settings_may_be_the_name_of_a_file(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "memferry.toml"
    path.write_text(
        f'source = "app-1"\ntopic = "{settings.topic}"\n[kafka]\n'
        f'bootstrap = "{settings.kafka.bootstrap}"\n[outbox]\npath = "from-file.db"\n'
    )

    ferry = eventlog.attach(path, domain=DOMAIN)

    ferry.close(DEADLINE_S)
    assert (tmp_path / "from-file.db").exists()


@pytest.mark.parametrize("source", ["", "memferry"])
def test_an_app_without_a_name_of_its_own_is_refused(settings: Settings, source: str) -> None:
    with pytest.raises(SettingsInvalid, match="`source`") as caught:
        eventlog.attach(msgspec.structs.replace(settings, source=source))

    assert "MEMFERRY_SOURCE" in caught.value.remedy


def test_an_app_without_a_broker_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsInvalid, match=r"kafka\.bootstrap") as caught:
        eventlog.attach(with_kafka(settings, bootstrap=""))

    assert "memferry stack up" in caught.value.remedy


def test_an_app_without_its_domain_is_refused(settings: Settings) -> None:
    with pytest.raises(DomainInvalid):
        eventlog.attach(msgspec.structs.replace(settings, domain="tests.domains.nowhere"))


def test_a_broker_that_is_away_is_named_and_leaves_nothing_open(
    attach: Attach, settings: Settings
) -> None:
    away = with_kafka(settings, bootstrap=closed_port(), timeout_ms=300)

    with pytest.raises(BrokerUnreachable):
        eventlog.attach(away)

    attach().record(opened("a")).replicated(DEADLINE_S)


def test_an_unsafe_topic_is_refused_before_anything_is_made(settings: Settings) -> None:
    make_topic(settings, control_topic(settings.topic), 1, retention_ms="1000")

    with pytest.raises(TopicUnsafe, match=r"retention\.ms"):
        eventlog.attach(settings)

    assert not settings.outbox_path.exists()


def test_a_second_instance_on_the_same_outbox_is_refused(
    attach: Attach, settings: Settings
) -> None:
    ferry = attach()

    with pytest.raises(OutboxInUse, match=f"process {os.getpid()}"):
        eventlog.attach(settings)

    ferry.record(opened("a")).replicated(DEADLINE_S)


def test_an_outbox_of_another_source_is_refused(attach: Attach, settings: Settings) -> None:
    attach().close(DEADLINE_S)

    with pytest.raises(OutboxInvalid, match="belongs to source 'app-1'"):
        eventlog.attach(msgspec.structs.replace(settings, source="app-2"))


def test_an_old_copy_of_the_outbox_is_refused_at_attach(attach: Attach, settings: Settings) -> None:
    path = settings.outbox_path
    ferry = attach()
    ferry.record(opened("a"))
    ferry.close(DEADLINE_S)
    shutil.copy(path, path.with_name("copy.db"))
    ferry = attach()
    ferry.record_all([deposited("a", 1, 1), opened("b"), opened("c"), opened("d")])
    ferry.close(DEADLINE_S)
    newest = path.read_bytes()
    before = events_of(settings)
    shutil.copy(path.with_name("copy.db"), path)

    with pytest.raises(OutboxBehindTopic, match="it is an old copy") as caught:
        eventlog.attach(settings)

    assert str(path) in caught.value.where
    assert caught.value.remedy
    assert events_of(settings) == before
    path.write_bytes(newest)
    attach().record(deposited("a", 1, 2)).replicated(DEADLINE_S)


def test_a_fork_of_the_outbox_is_refused_at_attach(attach: Attach, settings: Settings) -> None:
    ferry = attach()
    ferry.record(opened("a"))
    ferry.close(DEADLINE_S)
    shutil.copy(settings.outbox_path, settings.outbox_path.with_name("fork.db"))
    ferry = attach()
    ferry.record(deposited("a", 1, 1))
    ferry.close(DEADLINE_S)
    forked = msgspec.structs.replace(
        settings, outbox=msgspec.structs.replace(settings.outbox, path="fork.db")
    )
    fork = app_without_relay(forked)
    fork.ferry.record_all([deposited("a", 2, 2), deposited("a", 1, 3)])
    fork.close()

    with pytest.raises(OutboxForked, match="two outboxes wrote as this source"):
        eventlog.attach(forked)


def test_a_missing_driver_is_named_and_leaves_nothing_open(
    attach: Attach, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with_dsn = msgspec.structs.replace(settings, postgres=Postgres(dsn="host=/nowhere"))

    with pytest.raises(DriverMissing, match="psycopg is not installed") as caught:
        eventlog.attach(with_dsn)

    assert "memferry[control]" in caught.value.remedy
    attach().record(opened("a")).replicated(DEADLINE_S)


def test_readings_come_back_with_their_windows(attach: Attach) -> None:
    ferry = attach()
    ferry.record_all([taken("m", number) for number in range(7)])
    ferry.close(DEADLINE_S)
    again = eventlog.attach(ferry.settings)
    rings = new_rings()

    again.register("reading", rings)

    assert list(by_number(rings)) == [("m", 4), ("m", 5), ("m", 6)]
    again.close(DEADLINE_S)
