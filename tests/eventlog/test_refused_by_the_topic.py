"""A topic whose limit was lowered behind our back: smaller batches, or a stop that is explained."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from eventlog import producer
from eventlog.marks import MarkFile
from eventlog.refusal import TopicRefusesEvent
from eventlog.relay_service import RelayStopped, run_relay
from eventlog.shim import Ferry
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, opened, rows_of
from tests.eventlog.broker import (
    alter_topic,
    app_without_relay,
    by_lane,
    data_topic,
    events_of,
    make_topics,
    records_of,
)
from tests.eventlog.relay_steps import relay_until
from tests.eventlog.test_publisher import noise

LIMIT = "4000"
Attach = Callable[..., Ferry]


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    return kafka_settings


def in_a_process(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings, relay=msgspec.structs.replace(settings.relay, mode="process")
    )


def test_batches_that_became_too_large_are_sent_smaller_and_once(settings: Settings) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    app.ferry.record_all([opened(str(n), owner=noise(1_000)) for n in range(300)])[-1].durable(
        DEADLINE_S
    )
    app.close()
    alter_topic(settings, data_topic(settings), max_message_bytes=LIMIT)

    asyncio.run(relay_until(settings, 300))

    assert events_of(settings) == by_lane(rows_of(app.path))


def test_an_event_that_became_too_large_stops_the_relay_and_its_receipts_say_why(
    settings: Settings, attach: Attach
) -> None:
    ferry = attach(settings)
    ferry.record(opened("before")).replicated(DEADLINE_S)
    alter_topic(settings, data_topic(settings), max_message_bytes=LIMIT)

    receipt = ferry.record(opened("large", owner=noise(6_000)))
    behind = ferry.record(opened("large-2"))
    receipt.durable(DEADLINE_S)

    with pytest.raises(TopicRefusesEvent, match=r"refuses an event of 6\d\d\d bytes") as caught:
        receipt.replicated(DEADLINE_S)
    with pytest.raises(TopicRefusesEvent):
        behind.replicated(DEADLINE_S)
    place = f"topic {data_topic(settings)}, partition {receipt.partition}, seq {receipt.seq}"
    assert place in caught.value.where
    assert str(settings.outbox_path) in caught.value.where
    assert f"--entity-name {data_topic(settings)}" in caught.value.remedy
    assert "max.message.bytes=1000512" in caught.value.remedy
    ferry.close(DEADLINE_S)
    alter_topic(settings, data_topic(settings), max_message_bytes="1000512")
    again = attach(settings)
    again.record(opened("after")).replicated(DEADLINE_S)
    again.close(DEADLINE_S)
    assert events_of(settings) == by_lane(rows_of(settings.outbox_path))


async def test_a_process_that_stops_says_why_to_the_app_until_the_next_one_begins(
    settings: Settings, attach: Attach
) -> None:
    settings = in_a_process(settings)
    ferry = await asyncio.to_thread(attach, settings)
    ferry.record(opened("before")).durable(DEADLINE_S)
    await asyncio.to_thread(alter_topic, settings, data_topic(settings), max_message_bytes=LIMIT)
    receipt = ferry.record(opened("large", owner=noise(6_000)))
    receipt.durable(DEADLINE_S)

    with pytest.raises(TopicRefusesEvent):
        await asyncio.wait_for(run_relay(settings), DEADLINE_S)

    with pytest.raises(RelayStopped, match="refuses an event") as caught:
        await receipt.until_replicated(DEADLINE_S)
    assert "max.message.bytes=1000512" in caught.value.remedy
    await asyncio.to_thread(
        alter_topic, settings, data_topic(settings), max_message_bytes="1000512"
    )
    running = asyncio.create_task(run_relay(settings))
    marks = MarkFile(settings.outbox_path)
    while marks.explanation() is not None or marks.read() < receipt.row:
        await asyncio.sleep(0.01)
    await receipt.until_replicated(DEADLINE_S)
    running.cancel()
    await asyncio.wait({running})
    marks.close()


def test_a_producer_whose_numbers_run_out_is_replaced_by_a_new_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topics(settings)
    monkeypatch.setattr(producer, "_SEQUENCES", 1_000)
    app = app_without_relay(settings)
    app.ferry.record_all([opened(str(number)) for number in range(12_000)])[-1].durable(DEADLINE_S)
    app.close()

    marks = asyncio.run(relay_until(settings, 12_000))

    assert len(marks) > len(set(marks)), "a new producer began where the one before ended"
    assert events_of(settings) == by_lane(rows_of(app.path))
    assert sum(map(len, records_of(settings).values())) == 12_000
