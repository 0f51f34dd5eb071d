"""What the publisher puts into Kafka, read back from a real broker."""

import base64
import os
import re
import time
from contextlib import nullcontext
from typing import Literal

import msgspec
import pytest
from aiokafka.errors import KafkaError
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from eventlog.entry import EventTooLarge
from eventlog.publisher import Publisher
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App, opened, rows_of
from tests.eventlog.broker import (
    app_without_relay,
    by_lane,
    closed_port,
    events_of,
    make_topics,
    publish,
    records_of,
    silent_port,
    with_kafka,
)


def noise(size: int) -> str:
    """Return text that no compression makes smaller by much."""
    return base64.b85encode(os.urandom(size)).decode()[:size]


def recorded(settings: Settings, sizes: list[int]) -> App:
    app = app_without_relay(settings)
    for number, size in enumerate(sizes):
        app.ferry.record(opened(str(number), owner=noise(size)))
    app.close()
    return app


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "lz4"])
def test_the_bytes_in_kafka_are_the_outboxs_bytes_in_lane_order(
    settings: Settings, compression: Literal["none", "snappy", "zstd", "lz4"]
) -> None:
    relay = msgspec.structs.replace(settings.relay, compression=compression)
    settings = msgspec.structs.replace(settings, relay=relay)
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.record_all([opened(str(number)) for number in range(200)])
    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(10)
    app.close()
    rows = rows_of(app.path)

    publish(settings, [row for row in rows if row.partition != CONTROL_PARTITION])
    publish(settings, [row for row in rows if row.partition == CONTROL_PARTITION])

    records = records_of(settings)
    assert {p: [r.value for r in found] for p, found in records.items()} == by_lane(rows)
    streams = {p: [row.stream for row in rows if row.partition == p] for p in records}
    assert {p: [(r.key or b"").decode() for r in found] for p, found in records.items()} == streams


def test_a_record_is_one_of_cloudevents_to_a_reader_of_kafka(settings: Settings) -> None:
    make_topics(settings)
    app = recorded(settings, [10])
    publish(settings, rows_of(app.path))
    (record,) = (record for found in records_of(settings).values() for record in found)

    assert record.key is not None
    assert record.value is not None
    assert record.headers == (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    headers = dict(record.headers)
    event = from_kafka_event(KafkaMessage(headers, record.key, record.value))

    assert event.get_subject() == record.key.decode() == "account/0"
    assert event.get_source() == "app-1"


def test_more_than_a_batch_holds_goes_in_several_in_order(settings: Settings) -> None:
    relay = msgspec.structs.replace(settings.relay, batch_bytes=4_000)
    settings = msgspec.structs.replace(settings, relay=relay)
    make_topics(settings)
    app = recorded(settings, [10, 3_000, 9_000, 10, 20_000, 500, 500, 500, 3_900, 10] * 3)

    publish(settings, rows_of(app.path))

    found = {p: [r.value for r in rs] for p, rs in records_of(settings).items() if rs}
    assert found == by_lane(rows_of(app.path))


def test_batches_fit_into_a_topic_of_small_messages(settings: Settings) -> None:
    settings = with_kafka(settings, max_event_bytes=5_000)
    make_topics(settings)
    app = recorded(settings, [4_000] * 40)

    publish(settings, rows_of(app.path))

    found = {p: [r.value for r in rs] for p, rs in records_of(settings).items() if rs}
    assert found == by_lane(rows_of(app.path))


@pytest.mark.parametrize("name_size", [5, 400, 3_000])
@pytest.mark.parametrize("limit", [20_000, 1_000_000])
def test_what_recording_lets_pass_the_topic_takes(
    settings: Settings, limit: int, name_size: int
) -> None:
    plain = msgspec.structs.replace(settings.relay, compression="none")
    settings = msgspec.structs.replace(with_kafka(settings, max_event_bytes=limit), relay=plain)
    make_topics(settings)
    app = app_without_relay(settings)
    name, owner = noise(name_size), noise(limit)
    with pytest.raises(EventTooLarge) as caught:
        app.ferry.record(opened(name, owner=owner))
    taken, allowed = map(int, re.findall(r"\d+", caught.value.what))

    app.ferry.record(opened(name, owner=owner[: limit - taken + allowed])).durable(DEADLINE_S)

    rows = rows_of(app.path)
    publish(settings, rows)
    assert events_of(settings) == by_lane(rows)
    with pytest.raises(EventTooLarge):
        app.ferry.record(opened(noise(name_size), owner=owner[: limit - taken + allowed + 1]))
    app.close()


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "silent"])
async def test_a_broker_that_does_not_answer_is_given_up_within_the_deadline(
    settings: Settings, silent: bool
) -> None:
    with silent_port() if silent else nullcontext(closed_port()) as address:
        publisher = Publisher(with_kafka(settings, bootstrap=address, timeout_ms=300), 1)
        started = time.monotonic()

        with pytest.raises((KafkaError, TimeoutError)):
            await publisher.__aenter__()

    assert time.monotonic() - started < 1.5
