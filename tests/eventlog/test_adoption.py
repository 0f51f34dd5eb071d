"""A dead instance's outbox reaches Kafka whole, and is retired or goes on."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from eventlog.adoption import AdoptionIncomplete, adopt
from eventlog.outbox.contract import OutboxIdentity, OutboxInUse, OutboxInvalid
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.takeover import take_over
from eventlog.receipts import OutcomeUnknown
from eventlog.recorder import Recorder
from eventlog.shim import Ferry, SourceIsRetired
from eventlog.topic import BrokerUnreachable
from projector.control_tables import establish
from schemas.errors import SettingsInvalid
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Kafka, Settings
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import DEADLINE_S, opened, require_whole_lanes, rows_of
from tests.eventlog.attached import Attached
from tests.eventlog.broker import events_of, make_topics
from tests.projector.waiting import until

Attach = Callable[..., Ferry]


def left_behind(settings: Settings, *names: str) -> None:
    """Leave an outbox of an instance that recorded these accounts and never reached Kafka."""
    identity = OutboxIdentity(settings.source, settings.topic, 1, settings.kafka.partitions)
    outbox = SqliteOutbox(settings.outbox_path, identity)
    app = Recorder(outbox, DOMAIN, settings.kafka.max_event_bytes, 1_000)
    app.add_store("account", {})
    app.record_all([opened(name) for name in names])[-1].durable(DEADLINE_S)
    app.close(DEADLINE_S)


def in_topic(settings: Settings) -> list[bytes]:
    return sorted(event for lane in events_of(settings).values() for event in lane)


def in_outbox(settings: Settings) -> list[bytes]:
    return sorted(row.event for row in rows_of(settings.outbox_path))


def test_an_adopted_outbox_is_in_kafka_and_a_new_instance_goes_on(
    kafka_settings: Settings, attach: Attach
) -> None:
    make_topics(kafka_settings)
    left_behind(kafka_settings, "a", "b", "c")

    done = eventlog.adopt(kafka_settings)

    assert (done.source, done.writer, done.relayed, done.events, done.retired) == (
        "app-1", 2, 3, 3, False,
    )  # fmt: skip
    assert in_topic(kafka_settings) == in_outbox(kafka_settings)
    ferry = attach(kafka_settings)
    ferry.record(opened("d")).replicated(DEADLINE_S)
    assert in_topic(kafka_settings) == in_outbox(kafka_settings)
    identity = ferry.identity
    require_whole_lanes(rows_of(kafka_settings.outbox_path), identity)


def test_an_adopted_outbox_may_be_retired_and_then_takes_nothing(kafka_settings: Settings) -> None:
    make_topics(kafka_settings)
    left_behind(kafka_settings, "a", "b")

    done = adopt(kafka_settings, retire=True)

    assert (done.relayed, done.retired) == (3, True)
    (retired,) = events_of(kafka_settings)[CONTROL_PARTITION]
    assert b'"type":"memferry.source.retired.v1"' in retired
    assert in_topic(kafka_settings) == in_outbox(kafka_settings)
    with pytest.raises(SourceIsRetired):
        adopt(kafka_settings)
    with pytest.raises(SourceIsRetired):
        eventlog.attach(kafka_settings)


def test_adopting_again_sends_nothing_twice(kafka_settings: Settings) -> None:
    make_topics(kafka_settings)
    left_behind(kafka_settings, "a", "b")
    adopt(kafka_settings)

    again = adopt(kafka_settings)

    assert (again.writer, again.relayed) == (3, 0)
    assert in_topic(kafka_settings) == in_outbox(kafka_settings)


def test_an_instance_that_lives_is_not_adopted(kafka_settings: Settings, attach: Attach) -> None:
    ferry = attach(kafka_settings)

    with pytest.raises(OutboxInUse):
        adopt(kafka_settings)

    ferry.record(opened("a")).replicated(DEADLINE_S)


def test_an_outbox_of_another_source_is_named(kafka_settings: Settings) -> None:
    left_behind(kafka_settings, "a")
    other = msgspec.structs.replace(kafka_settings, source="app-2")

    with pytest.raises(OutboxInvalid, match="belongs to source 'app-1'") as caught:
        adopt(other)

    assert caught.value.remedy
    assert adopt(kafka_settings).writer == 2


def test_without_kafka_nothing_is_adopted(kafka_settings: Settings) -> None:
    left_behind(kafka_settings, "a", "b")
    away = msgspec.structs.replace(
        kafka_settings, kafka=Kafka(bootstrap="127.0.0.1:1", partitions=3, timeout_ms=300)
    )

    with pytest.raises(BrokerUnreachable):
        adopt(away)

    assert adopt(kafka_settings).writer == 2


def test_what_is_not_in_kafka_in_time_is_said_and_the_next_run_finishes(
    kafka_settings: Settings,
) -> None:
    left_behind(kafka_settings, "a", "b")

    with pytest.raises(AdoptionIncomplete, match="up to row 0 of 2") as caught:
        adopt(kafka_settings, timeout=0)

    assert "run `memferry adopt` again" in caught.value.remedy
    assert adopt(kafka_settings).relayed == 2
    assert in_topic(kafka_settings) == in_outbox(kafka_settings)


def test_an_outbox_in_postgresql_is_not_adopted(kafka_settings: Settings) -> None:
    inside = msgspec.structs.replace(kafka_settings.outbox, kind="postgres")

    with pytest.raises(SettingsInvalid, match="this one is in PostgreSQL") as caught:
        adopt(msgspec.structs.replace(kafka_settings, outbox=inside))

    assert "lock ends with its connection" in caught.value.remedy


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of a source that no other test's app is."""
    made = make_settings()
    return msgspec.structs.replace(made, source=f"app-{made.topic}")


def test_whoever_lost_its_outbox_no_longer_speaks_for_the_source(
    settings: Settings, attached: Attached, database: psycopg.Connection[Any]
) -> None:
    def connected() -> list[str]:
        found = database.execute(
            "SELECT query FROM pg_stat_activity WHERE application_name LIKE %s",
            (f"memferry %{settings.source}",),
        )
        return [query for (query,) in found]

    establish(database, settings, DOMAIN, 3)
    until(lambda: sum("LISTEN" not in query for query in connected()) == 2, "both have begun")
    attached.ferry.record(opened("a")).replicated(DEADLINE_S)
    relays = len(relaying())  # this process may have other tests' apps

    take_over(settings.outbox_path, stopped=True)

    until(lambda: connected() == [], "both connections are closed")
    until(lambda: len(relaying()) == relays - 1, "the relay has ended")
    with pytest.raises(OutcomeUnknown, match="another process has adopted"):
        attached.ferry.record(opened("b"))


def relaying() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "memferry-relay"]
