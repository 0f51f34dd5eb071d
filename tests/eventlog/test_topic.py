"""The topic, made and judged on a real broker."""

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from eventlog.outbox.contract import OutboxIdentity
from eventlog.topic import BrokerUnreachable, TopicHead, TopicUnsafe, ensure_topics, heads_of
from schemas import envelope
from schemas.envelope import EnvelopeInvalid
from schemas.lane import CONTROL_PARTITION, partition_of
from schemas.position import control_topic
from schemas.settings import Settings
from tests.eventlog.app import App, opened, rows_of
from tests.eventlog.broker import (
    app_without_relay,
    closed_port,
    data_topic,
    describe,
    make_topic,
    make_topics,
    publish,
    records_of,
    send_raw,
    silent_port,
    with_kafka,
)

DEADLINE_MS = 400


def ensure(settings: Settings) -> int:
    return asyncio.run(ensure_topics(settings, 1))


def test_topics_are_made_to_keep_everything(settings: Settings) -> None:
    partitions = ensure(settings)

    assert partitions == 3
    for name, wanted in {data_topic(settings): 3, control_topic(settings.topic): 1}.items():
        count, configs = describe(settings, name)
        assert count == wanted
        assert configs["cleanup.policy"] == "delete"
        assert configs["retention.ms"] == configs["retention.bytes"] == "-1"
        assert int(configs["max.message.bytes"]) > settings.kafka.max_event_bytes


def test_topics_that_are_there_keep_their_partition_count(settings: Settings) -> None:
    ensure(settings)

    assert ensure(with_kafka(settings, partitions=7)) == 3


@pytest.mark.parametrize("control", [False, True], ids=["data", "control"])
@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("retention.ms", "604800000", "-1"),
        ("retention.bytes", "1000000", "-1"),
        ("cleanup.policy", "compact", "delete"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("max.message.bytes", "1000", "1000512"),
    ],
)
def test_a_topic_that_could_lose_events_is_refused_with_the_command_that_mends_it(
    settings: Settings, setting: str, value: str, wanted: str, control: bool
) -> None:
    name = control_topic(settings.topic) if control else data_topic(settings)
    make_topic(settings, name, 1, **{setting.replace(".", "_"): value})

    with pytest.raises(TopicUnsafe) as caught:
        ensure(settings)

    assert caught.value.what.startswith(f"{setting} is {value}")
    assert caught.value.where == f"topic {name}"
    command = f"kafka-configs --alter --entity-type topics --entity-name {name}"
    assert f"{command} --add-config {setting}={wanted}" in caught.value.remedy


def test_a_control_topic_of_two_partitions_is_refused(settings: Settings) -> None:
    make_topic(settings, control_topic(settings.topic), 2)

    with pytest.raises(TopicUnsafe, match="must have one partition") as caught:
        ensure(settings)

    assert caught.value.where == f"topic {control_topic(settings.topic)}"
    assert caught.value.remedy


def test_a_name_that_kafka_refuses_is_refused(settings: Settings) -> None:
    settings = type(settings)(topic="no topic/at all", kafka=settings.kafka)

    with pytest.raises(TopicUnsafe, match=r"cannot be made or read \(Kafka error") as caught:
        ensure(settings)

    assert "no topic/at all" in caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "silent"])
def test_a_broker_that_does_not_answer_is_named_within_the_deadline(
    settings: Settings, silent: bool
) -> None:
    with silent_port() if silent else nullcontext(closed_port()) as address:
        settings = with_kafka(settings, bootstrap=address, timeout_ms=DEADLINE_MS)
        for ask in (ensure_topics(settings, 1), heads_of(settings, "app-1", 1)):
            started = time.monotonic()

            with pytest.raises(BrokerUnreachable, match=f"within {DEADLINE_MS} ms") as caught:
                asyncio.run(ask)

            # Once for the question and once for a client that hangs while it is closed.
            assert time.monotonic() - started < 3 * DEADLINE_MS / 1000
            assert caught.value.where == address
            assert "kafka.bootstrap" in caught.value.remedy


def test_a_source_that_has_sent_nothing_has_no_heads(settings: Settings) -> None:
    ensure(settings)

    assert asyncio.run(heads_of(settings, "app-1", 1)) == {}


def test_heads_are_the_newest_event_of_each_lane_in_the_topic(settings: Settings) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.record_all([opened(str(number)) for number in range(20)])
    app.ferry.place_barrier("b", "audit")
    app.close()
    rows = rows_of(app.path)

    publish(settings, rows[:-1])

    newest = {row.partition: row for row in rows[:-1]}
    assert asyncio.run(heads_of(settings, "app-1", 1)) == {
        p: TopicHead(row.seq, envelope.digest(row.event)) for p, row in newest.items()
    }


def test_a_resend_behind_newer_events_does_not_hide_them(settings: Settings) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.record_all([opened(str(number)) for number in range(20)])
    app.close()
    rows = rows_of(app.path)
    publish(settings, rows)
    before = asyncio.run(heads_of(settings, "app-1", 1))

    publish(settings, rows[:5])

    assert asyncio.run(heads_of(settings, "app-1", 1)) == before


def test_a_source_is_found_far_behind_the_events_of_others(settings: Settings) -> None:
    settings = with_kafka(settings, partitions=1)
    make_topics(settings)
    quiet, busy = (
        App(
            settings.outbox_path.with_name(name),
            identity=OutboxIdentity(name, settings.topic, 1, 1),
        )
        for name in ("quiet", "busy")
    )
    quiet.ferry.record_all([opened("a"), opened("b")])
    busy.ferry.record_all([opened(str(number)) for number in range(5_000)])
    for app in (quiet, busy):
        app.close()
        publish(settings, rows_of(app.path))
    assert len(records_of(settings)[0]) == 5_002

    heads = asyncio.run(heads_of(settings, "quiet", 1))

    assert heads == {0: TopicHead(2, envelope.digest(rows_of(quiet.path)[1].event))}
    assert asyncio.run(heads_of(settings, "nobody", 1)) == {}


def test_the_control_topics_lane_has_a_head_of_its_own(settings: Settings) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(10)
    app.close()
    (row,) = rows_of(app.path)

    publish(settings, [row])

    assert asyncio.run(heads_of(settings, "app-1", 1)) == {
        CONTROL_PARTITION: TopicHead(1, envelope.digest(row.event))
    }


def test_a_topic_with_records_of_something_else_is_refused(settings: Settings) -> None:
    make_topics(settings)
    partition = partition_of("account/a", settings.kafka.partitions)
    send_raw(settings, data_topic(settings), partition, [b"no event of ours"])

    with pytest.raises(EnvelopeInvalid, match="not a CloudEvents"):
        asyncio.run(heads_of(settings, "app-1", 1))


def test_a_record_of_something_else_between_ours_hides_no_head(settings: Settings) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.record(opened("a"))
    app.close()
    publish(settings, rows_of(app.path))
    before = asyncio.run(heads_of(settings, "app-1", 1))
    partition = partition_of("account/a", settings.kafka.partitions)

    send_raw(settings, data_topic(settings), partition, [b"no event of ours"])

    assert partition in before
    assert asyncio.run(heads_of(settings, "app-1", 1)) == before


def test_new_topics_are_waited_for(make_settings: Callable[..., Settings]) -> None:
    assert [ensure(make_settings()) for _ in range(20)] == [3] * 20
