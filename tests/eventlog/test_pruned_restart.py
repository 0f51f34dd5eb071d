"""With a real Kafka and real tables: rows go by themselves, and a restart misses none of them."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

import eventlog
from eventlog.outbox.contract import OutboxIdentity, Safe
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.relay import OutboxPruned
from eventlog.topic import TopicUnsafe
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, deposited, opened, rows_of
from tests.eventlog.attached import Attached
from tests.eventlog.broker import data_topic, events_of, make_topic, make_topics
from tests.eventlog.outbox.appender import Item
from tests.projector.migration.stage import Projecting
from tests.projector.waiting import until

ENDLESS_S = 1e9


def pruning(settings: Settings, *, trust: bool = True) -> Settings:
    outbox = msgspec.structs.replace(settings.outbox, prune="applied", trust_kafka=trust)
    return msgspec.structs.replace(settings, outbox=outbox)


def left(settings: Settings) -> list[str]:
    """Return the streams of the app's events that the outbox still holds."""
    rows = rows_of(settings.outbox_path)
    return [row.stream for row in rows if row.partition != CONTROL_PARTITION]


@pytest.fixture
def attached(settings: Settings) -> Iterator[Callable[..., Attached]]:
    apps: list[Attached] = []

    def attach(given: Settings) -> Attached:
        apps.append(Attached(given))
        return apps[-1]

    yield attach
    for app in apps:
        app.ferry.close(DEADLINE_S)


def test_what_every_table_has_leaves_the_outbox_and_comes_back_after_a_restart(
    settings: Settings, attached: Callable[..., Attached]
) -> None:
    given = pruning(settings)
    app = attached(given)
    projecting = Projecting(given)
    for number in range(20):
        receipt = app.ferry.record(opened(str(number)))
    receipt.applied(DEADLINE_S)
    until(lambda: left(given) == [], "the outbox is pruned")
    app.ferry.close(DEADLINE_S)

    again = attached(given)

    assert again.accounts == app.accounts
    again.ferry.record(deposited("1", 5, 5)).applied(DEADLINE_S)
    until(lambda: left(given) == [], "the outbox is pruned again")
    projecting.stop()
    lanes = events_of(given)
    assert sum(len(lane) for partition, lane in lanes.items() if partition >= 0) == 21


def test_a_topic_that_could_lose_what_it_acknowledged_is_not_enough_to_prune(
    kafka_settings: Settings,
) -> None:
    with pytest.raises(TopicUnsafe, match="is on, and the topic has 1 copies") as caught:
        eventlog.attach(pruning(kafka_settings, trust=False))

    assert "flush.messages=1" in caught.value.remedy
    assert "outbox.trust_kafka" in caught.value.remedy


def test_a_topic_that_flushes_each_message_is_enough(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    make_topic(settings, data_topic(settings), 3, flush_messages="1")
    make_topic(settings, f"{settings.topic}.control", 1, flush_messages="1")

    ferry = eventlog.attach(pruning(settings, trust=False))

    assert ferry.pruning.wanted
    ferry.close(DEADLINE_S)


def test_a_topic_that_lacks_what_was_pruned_is_found_before_anything_is_sent(
    kafka_settings: Settings,
) -> None:
    make_topics(kafka_settings)
    identity = OutboxIdentity(kafka_settings.source, kafka_settings.topic, 1, 3)
    outbox = SqliteOutbox(kafka_settings.outbox_path, identity)
    outbox.append([Item(0, "account/a", str(number)) for number in range(5)])
    outbox.prune(Safe(3, {0: 3}), 10, ENDLESS_S)
    outbox.close()

    with pytest.raises(OutboxPruned, match="ends at seq 0") as caught:
        eventlog.attach(kafka_settings)

    assert "partition 0, seq 1" in caught.value.where
    assert caught.value.remedy
    assert events_of(kafka_settings) == {}


def test_a_relay_goes_on_from_a_pruned_outbox(
    kafka_settings: Settings, attach: Callable[..., eventlog.Ferry]
) -> None:
    ferry = attach(kafka_settings)
    for number in range(10):
        receipt = ferry.record(opened(str(number)))
    receipt.replicated(DEADLINE_S)
    ferry.close(DEADLINE_S)
    reader = SqliteOutboxReader(kafka_settings.outbox_path)
    applied = {partition: head.seq for partition, head in reader.heads().items()}
    outbox = SqliteOutbox(kafka_settings.outbox_path, reader.identity)
    outbox.prune(Safe(reader.last_row(), applied), 100, ENDLESS_S)
    assert left(kafka_settings) == []
    outbox.close()
    reader.close()

    again = attach(kafka_settings)
    again.record(opened("after")).replicated(DEADLINE_S)

    assert left(kafka_settings) == ["account/after"]
    lanes = events_of(kafka_settings)
    assert sum(len(lane) for partition, lane in lanes.items() if partition >= 0) == 11
