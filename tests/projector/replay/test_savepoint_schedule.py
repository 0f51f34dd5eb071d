"""Savepoints that running projectors take by themselves."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.control_tables import set_state
from projector.replay.beside import beside_of, drop
from projector.replay.savepoint_schedule import Taker, schedule_of, taken_by_schedule
from projector.replay.savepoints import Savepoint, list_all, take
from projector.schedule import Cron, Every
from schemas.errors import SettingsInvalid
from schemas.settings import Kafka, Savepoints, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project

Connection = psycopg.Connection[Any]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(database: Connection, settings: Settings) -> Iterator[Connection]:
    yield database
    for one in beside_of(database, settings.projection):
        drop(database, one.name)


def scheduled(settings: Settings, **said: Any) -> Settings:
    return msgspec.structs.replace(settings, savepoints=Savepoints(**said))


def taker(settings: Settings, **said: Any) -> Taker:
    wanted = scheduled(settings, **said)
    schedule = schedule_of(wanted.savepoints)
    assert schedule is not None
    return Taker(wanted, DOMAIN, schedule)


def points(conn: Connection, settings: Settings) -> list[Savepoint]:
    return list_all(conn, settings.projection)


def in_thread(work: Any, *given: Any) -> Any:
    """Return what a function returns in a thread without an event loop, as it is called."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work(*given)))
    thread.start()
    thread.join()
    return found[0]


async def apply_one(app: App, broker: Broker, settings: Settings, name: str) -> None:
    count = len(app.rows())
    app.open(name)
    broker.publish(settings, app.rows()[count:])
    await project(settings)


@pytest.fixture
async def projected(app: App, broker: Broker, topic: Settings) -> App:
    app.open("first")
    broker.publish(topic, app.rows())
    await project(topic)
    return app


def test_settings_say_whether_and_when() -> None:
    assert schedule_of(Savepoints()) is None
    assert isinstance(schedule_of(Savepoints(every_s=5)), Every)
    assert isinstance(schedule_of(Savepoints(every_s=5, cron="*/15 * * * *")), Cron)
    with pytest.raises(SettingsInvalid) as refused:
        schedule_of(Savepoints(cron="soon"))
    assert refused.value.where == "`savepoints.cron`"


async def test_what_is_due_is_taken_once_and_named_after_its_time(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    now = datetime.now(UTC)
    first, second = (taker(settings, every_s=60) for _ in range(2))

    due = in_thread(first.look, now)
    elsewhere = in_thread(second.look, now + timedelta(seconds=1))
    await apply_one(projected, broker, settings, "second")
    in_thread(second.look, elsewhere)

    one, two = points(database, settings)
    assert due == now + MINUTE
    assert elsewhere == one.taken_at + MINUTE
    assert one.name == f"every-{now:%Y-%m-%dT%H-%M-%SZ}"
    assert two.name == f"every-{elsewhere:%Y-%m-%dT%H-%M-%SZ}"
    assert {one.purpose, two.purpose} == {"every"}


async def test_a_projector_that_starts_again_goes_on_with_the_schedule(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    in_thread(taker(settings, every_s=60).look, datetime.now(UTC))
    await apply_one(projected, broker, settings, "second")

    due = in_thread(taker(settings, every_s=60).look, datetime.now(UTC))

    (point,) = points(database, settings)
    assert due == point.taken_at + MINUTE


async def test_of_several_projectors_the_one_with_the_lock_takes_it(
    projected: App, settings: Settings, database: Connection
) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as other:
        other.execute(
            "SELECT pg_advisory_lock(hashtextextended('memferry scheduled savepoints ' || %s, 0))",
            (settings.projection,),
        )

        again = in_thread(taker(settings, every_s=60).look, now)

    assert points(database, settings) == []
    assert now < again < now + MINUTE  # the other one may die before it has taken it


async def test_a_cron_expression_waits_for_its_time(
    projected: App, settings: Settings, database: Connection
) -> None:
    one = taker(settings, cron="0 * * * *")
    now = datetime(2031, 3, 1, 12, 20, tzinfo=UTC)

    due = in_thread(one.look, now)

    assert due == datetime(2031, 3, 1, 13, 0, tzinfo=UTC)
    assert points(database, settings) == []


@pytest.mark.parametrize("state", ["held", "rebuilding"])
async def test_none_is_taken_while_the_projection_is_not_live(
    projected: App, settings: Settings, database: Connection, state: Any
) -> None:
    set_state(database, settings.projection, state, "a rollback")
    now, one = datetime.now(UTC), taker(settings, every_s=60)

    due = in_thread(one.look, now)
    none = points(database, settings)
    set_state(database, settings.projection, "live", "")
    in_thread(one.look, due)

    assert (due, none) == (now + MINUTE, [])
    assert len(points(database, settings)) == 1


async def test_the_same_position_is_not_named_again(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    one, now = taker(settings, every_s=60, keep=2), datetime.now(UTC)

    for minute in range(4):
        in_thread(one.look, now + minute * MINUTE)
    idle = points(database, settings)
    for minute in range(4, 7):
        await apply_one(projected, broker, settings, f"acc-{minute}")
        in_thread(one.look, now + minute * MINUTE)

    assert len(idle) == 1
    left = [point.name for point in points(database, settings)]
    assert left == [f"every-{now + m * MINUTE:%Y-%m-%dT%H-%M-%SZ}" for m in (5, 6)]


async def test_none_but_scheduled_ones_give_way(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "every-day")
    one, now = taker(settings, every_s=60, keep=1, keep_tables=True), datetime.now(UTC)

    for minute in range(2):
        in_thread(one.look, now + minute * MINUTE)
        await apply_one(projected, broker, settings, f"acc-{minute}")

    by_hand, newest = points(database, settings)
    in_thread(one.look, now + 2 * MINUTE)
    assert by_hand.name == "every-day"
    assert newest.tables == "kept"
    names = [point.name for point in points(database, settings)]
    assert names == ["every-day", f"every-{now + 2 * MINUTE:%Y-%m-%dT%H-%M-%SZ}"]
    (kept,) = beside_of(database, settings.projection)
    assert kept.savepoint == names[1]


async def test_a_running_projector_takes_them_whatever_goes_wrong(
    projected: App, settings: Settings, database: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=300)
    away = scheduled(msgspec.structs.replace(settings, kafka=nowhere), every_s=1)

    with caplog.at_level(logging.WARNING, "memferry.savepoints"), ExitStack() as stack:
        stack.enter_context(taken_by_schedule(away, DOMAIN))
        await eventually(lambda: "trying again" in caplog.text, "the error is logged")
    with taken_by_schedule(scheduled(settings, every_s=1), DOMAIN):
        await eventually(lambda: points(database, settings), "one is taken")

    assert [point.purpose for point in points(database, settings)] == ["every"]


def test_where_no_schedule_is_set_nothing_runs(settings: Settings) -> None:
    before = threading.active_count()

    with taken_by_schedule(settings, DOMAIN):
        assert threading.active_count() == before
    with (
        pytest.raises(SettingsInvalid, match="no cron expression"),
        taken_by_schedule(scheduled(settings, cron="soon"), DOMAIN),
    ):
        pass
