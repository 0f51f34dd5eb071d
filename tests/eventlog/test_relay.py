"""The relay: everything arrives, in lane order, whatever was lost or copied on the way."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from eventlog.receipts import Watermark
from eventlog.relay import Relay
from eventlog.topic import BrokerUnreachable
from schemas import envelope
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App, opened, rows_of
from tests.eventlog.broker import (
    app_without_relay,
    by_lane,
    closed_port,
    events_of,
    publish,
    records_of,
    with_kafka,
)
from tests.eventlog.relay_steps import left_behind, record, relay_until, with_topics


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings whose topics are there."""
    return with_topics(make_settings())


@pytest.fixture
def app(settings: Settings) -> App:
    """A closed app with forty events and more in its outbox."""
    return left_behind(settings)


def test_everything_in_the_outbox_is_in_kafka_byte_for_byte(app: App, settings: Settings) -> None:
    rows = rows_of(app.path)

    marks = asyncio.run(relay_until(settings, len(rows)))

    assert marks == sorted(marks)
    assert (marks[0], marks[-1]) == (0, len(rows))
    found = {p: [r.value for r in records] for p, records in records_of(settings).items()}
    assert found == by_lane(rows)
    assert sum(map(len, found.values())) == len(rows), "nothing was sent twice"


def test_a_control_record_is_in_kafka_before_what_stands_behind_it(
    app: App, settings: Settings
) -> None:
    rows = rows_of(app.path)
    (control,) = (row for row in rows if row.partition == CONTROL_PARTITION)

    marks = asyncio.run(relay_until(settings, len(rows)))

    assert {control.row - 1, control.row} <= set(marks)


async def test_what_is_recorded_while_it_relays_arrives(settings: Settings) -> None:
    app = app_without_relay(settings)
    mark = Watermark()
    relay = Relay(settings, mark.advance)
    running = asyncio.create_task(relay.run())

    for number in range(5):
        app.ferry.record(opened(str(number))).durable(DEADLINE_S)
        assert await mark.reached(number + 1, DEADLINE_S)

    relay.stop()
    await asyncio.wait_for(running, DEADLINE_S)
    app.close()
    assert await asyncio.to_thread(events_of, settings) == by_lane(rows_of(app.path))


async def test_a_relay_in_the_apps_own_process_sends_the_same(settings: Settings) -> None:
    app = app_without_relay(settings)
    record(app, 0, 40)
    newest = len(rows_of(app.path))

    marks = await relay_until(settings, newest, app.ferry._outbox.tail)  # type: ignore[attr-defined]

    app.close()
    assert marks[-1] == newest
    assert await asyncio.to_thread(events_of, settings) == by_lane(rows_of(app.path))


def test_a_new_relay_goes_on_where_the_topic_ends(app: App, settings: Settings) -> None:
    rows = rows_of(app.path)
    publish(settings, rows[:10])

    marks = asyncio.run(relay_until(settings, len(rows)))

    assert marks[0] == 10
    assert sum(map(len, records_of(settings).values())) == len(rows)
    assert events_of(settings) == by_lane(rows)


def test_lanes_that_are_ahead_are_sent_again_byte_for_byte(app: App, settings: Settings) -> None:
    rows = rows_of(app.path)
    ahead = [row for row in rows if row.partition == 0]
    publish(settings, ahead)

    asyncio.run(relay_until(settings, len(rows)))

    assert events_of(settings) == by_lane(rows)
    assert sum(map(len, records_of(settings).values())) == len(rows) + len(ahead)


def test_a_relay_that_has_nothing_to_do_sends_nothing(app: App, settings: Settings) -> None:
    rows = rows_of(app.path)
    publish(settings, rows)

    marks = asyncio.run(relay_until(settings, len(rows)))

    assert marks == [len(rows)]
    assert sum(map(len, records_of(settings).values())) == len(rows)


def test_many_chunks_arrive_in_order(settings: Settings) -> None:
    app = app_without_relay(settings)
    count = 12_000
    app.ferry.record_all([opened(str(number)) for number in range(count)])[-1].durable(DEADLINE_S)
    app.close()

    marks = asyncio.run(relay_until(settings, count))

    assert len(marks) > 2
    assert events_of(settings) == by_lane(rows_of(app.path))


async def test_what_was_committed_before_the_relay_looked_is_not_waited_for(
    app: App, settings: Settings
) -> None:
    relay = Relay(settings, lambda row: None)

    await asyncio.wait_for(relay._watch_file(len(rows_of(app.path)) - 1), DEADLINE_S)

    relay.stop()


async def test_brokers_may_be_away_and_trouble_is_told(app: App, settings: Settings) -> None:
    trouble: asyncio.Queue[BaseException] = asyncio.Queue()
    away = with_kafka(settings, bootstrap=closed_port(), timeout_ms=200)
    relay = Relay(away, lambda row: None, on_trouble=trouble.put_nowait)
    running = asyncio.create_task(relay.run())

    told = [await asyncio.wait_for(trouble.get(), DEADLINE_S) for _ in range(2)]

    relay.stop()
    await asyncio.wait_for(running, DEADLINE_S)
    assert relay.sent_row == 0
    assert [type(error) for error in told] == [BrokerUnreachable] * 2


def test_the_topic_says_whose_events_it_holds(app: App, settings: Settings) -> None:
    asyncio.run(relay_until(settings, len(rows_of(app.path))))

    sources = {
        envelope.decode(record.value or b"").source
        for records in records_of(settings).values()
        for record in records
    }

    assert sources == {"app-1"}


async def test_what_is_recorded_within_the_linger_goes_together(settings: Settings) -> None:
    lingering = msgspec.structs.replace(settings.relay, linger_ms=1_500)
    settings = msgspec.structs.replace(settings, relay=lingering)
    app = app_without_relay(settings)
    marks: asyncio.Queue[int] = asyncio.Queue()

    def record_the_rest() -> None:
        app.ferry.record_all([opened("b"), opened("c")])

    async def wait_for_row(_: int) -> None:
        if app.accounts:
            await asyncio.sleep(0.05)
            return
        app.ferry.record(opened("a")).durable(DEADLINE_S)
        asyncio.get_running_loop().call_later(0.3, record_the_rest)

    relay = Relay(settings, marks.put_nowait, wait_for_row)
    running = asyncio.create_task(relay.run())

    found = [await asyncio.wait_for(marks.get(), DEADLINE_S) for _ in range(2)]

    assert found == [0, 3], "not one by one"
    relay.stop()
    await asyncio.wait_for(running, DEADLINE_S)
    app.close()
