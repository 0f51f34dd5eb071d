from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from eventlog.outbox.contract import OutboxRow
from projector.control_tables import Projection, establish
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.lanes import RecordRefused
from projector.log import BrokerUnreachable, TopicMissing
from schemas import envelope
from schemas.control import SavepointTaken, SnapshotCompleted, SourceRetired
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION, ChainBroken, LaneId, SequenceGap, genesis
from schemas.settings import Kafka, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App
from tests.projector.broker import Broker

pytestmark = pytest.mark.usefixtures("projection", "topic")


def control_rows(app: App) -> list[OutboxRow]:
    return [row for row in app.rows() if row.partition == CONTROL_PARTITION]


def savepoint(settings: Settings, name: str, end: int = 5) -> SavepointTaken:
    offsets = {0: end, 1: 0, 2: 0}
    return SavepointTaken(name, settings.projection, settings.topic, 1, offsets, "ada@desk")


def savepoints(conn: psycopg.Connection[Any], settings: Settings) -> dict[str, Any]:
    return dict(
        conn.execute(
            "SELECT name, offsets FROM memferry.savepoint WHERE projection = %s",
            (settings.projection,),
        ).fetchall()
    )


def source(conn: psycopg.Connection[Any], settings: Settings) -> tuple[Any, ...] | None:
    return conn.execute(
        "SELECT name, partitions, snapshot_at IS NOT NULL, retired_at IS NOT NULL "
        "FROM memferry.source WHERE topic = %s",
        (settings.topic,),
    ).fetchone()


async def test_a_sources_life_is_read_from_its_lane(
    app: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    broker.send_control(settings, [row.event for row in control_rows(app)])

    known = await read_control(database, settings)
    opened = source(database, settings)
    app.recorder.record_control(SnapshotCompleted("app-1", 0, 0))
    app.recorder.record_control(SourceRetired("app-1", {})).durable(5)
    broker.send_control(settings, [row.event for row in control_rows(app)[1:]])
    await read_control(database, settings)

    assert known == {"app-1"}
    assert opened == ("app-1", 3, False, False)
    assert source(database, settings) == ("app-1", 3, True, True)


async def test_sources_of_the_same_name_in_two_topics_are_two(
    app: App,
    broker: Broker,
    settings: Settings,
    database: psycopg.Connection[Any],
    make_settings: Callable[..., Settings],
    make_app: Callable[[Settings], App],
) -> None:
    other = make_settings()
    broker.make_topics(other)
    retired = make_app(other)
    retired.recorder.record_control(SourceRetired("app-1", {})).durable(5)
    broker.send_control(settings, [row.event for row in control_rows(app)])
    broker.send_control(other, [row.event for row in control_rows(retired)])

    await read_control(database, settings)
    await read_control(database, other)

    assert source(database, settings) == ("app-1", 3, False, False)
    assert source(database, other) == ("app-1", 3, False, True)


async def test_records_that_come_again_change_nothing(
    app: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    app.recorder.record_control(SnapshotCompleted("app-1", 0, 0)).durable(5)
    events = [row.event for row in control_rows(app)]

    for resent in (events[:1], events, events, events[1:]):
        broker.send_control(settings, resent)
        await read_control(database, settings)

    assert source(database, settings) == ("app-1", 3, True, False)


async def broken_by(
    broker: Broker, settings: Settings, conn: psycopg.Connection[Any], values: list[bytes | None]
) -> FerryError:
    """Return what reading says; whatever it is, nothing of what was read may stay."""
    broker.send_control(settings, values)
    with pytest.raises(FerryError) as refused:
        await read_control(conn, settings)
    assert source(conn, settings) is None
    return refused.value


async def test_a_hole_in_a_control_lane_is_named(
    app: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    app.recorder.record_control(SnapshotCompleted("app-1", 0, 0))
    app.recorder.record_control(SnapshotCompleted("app-1", 0, 0)).durable(5)
    first, _, third = (row.event for row in control_rows(app))

    error = await broken_by(broker, settings, database, [first, third])

    assert isinstance(error, SequenceGap)
    assert "seq 3" in error.where
    assert "offset 1" in error.where


async def test_an_altered_control_record_is_named_by_the_one_behind_it(
    app: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    app.recorder.record_control(SnapshotCompleted("app-1", 7, 7)).durable(5)
    first, second = (row.event for row in control_rows(app))

    altered = first.replace(b'"partitions":3', b'"partitions":9')
    error = await broken_by(broker, settings, database, [altered, second])

    assert isinstance(error, ChainBroken)
    assert "seq 2" in error.where


@pytest.mark.parametrize("value", [None, b"", b"garbage", b'{"specversion":"1.0"}'])
async def test_what_is_no_control_record_is_named(
    broker: Broker, settings: Settings, database: psycopg.Connection[Any], value: bytes | None
) -> None:
    error = await broken_by(broker, settings, database, [value])

    assert isinstance(error, RecordRefused)
    assert error.where == f"topic {settings.topic}.control, partition 0, offset 0"


@pytest.mark.parametrize(
    ("event_type", "data"),
    [("memferry.source.renamed.v1", b"{}"), ("memferry.source.opened.v1", b'{"source":1}')],
)
async def test_a_control_record_of_another_memferry_is_named(
    broker: Broker,
    settings: Settings,
    database: psycopg.Connection[Any],
    event_type: str,
    data: bytes,
) -> None:
    chain = genesis(LaneId("app-1", 1, CONTROL_PARTITION)).digest
    head = (
        b'{"specversion":"1.0","id":"1","source":"app-1","type":"%b","subject":"s","time":"t"'
        % event_type.encode()
    )

    error = await broken_by(broker, settings, database, [envelope.seal(head, data, 1, 1, chain)])

    assert isinstance(error, RecordRefused)
    assert event_type in error.what
    assert "seq 1, offset 0" in error.where


async def test_a_decision_is_published_once_and_stays_as_it_was_made(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    first = decide(database, settings, savepoint(settings, "before"))
    again = decide(database, settings, savepoint(settings, "before", 99))
    second = decide(database, settings, savepoint(settings, "after", 7))

    assert (first, again, second) == (True, False, True)
    assert await publish_decisions(database, settings) == 2
    assert await publish_decisions(database, settings) == 0
    await read_control(database, settings)
    assert savepoints(database, settings) == {
        "before": {"0": 5, "1": 0, "2": 0}, "after": {"0": 7, "1": 0, "2": 0}
    }  # fmt: skip


async def test_decisions_come_back_into_an_empty_control_schema_and_go_on_from_there(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    decide(database, settings, savepoint(settings, "before"))
    decide(database, settings, savepoint(settings, "after", 7))
    await publish_decisions(database, settings)
    known = savepoints(database, settings)

    with database.transaction(force_rollback=True):  # other tests' projections are in there, too
        database.execute(f"DROP SCHEMA memferry CASCADE; DROP SCHEMA {settings.projection} CASCADE")
        establish(database, settings, DOMAIN, 3)
        assert savepoints(database, settings) == {}
        await read_control(database, settings)
        restored = savepoints(database, settings)
        decide(database, settings, savepoint(settings, "later", 9))
        await publish_decisions(database, settings)

    await read_control(database, settings)  # the older database learns what was decided since
    assert restored == known
    assert savepoints(database, settings) == known | {"later": {"0": 9, "1": 0, "2": 0}}


async def test_a_decision_published_twice_is_a_duplicate(
    settings: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    decide(database, settings, savepoint(settings, "before"))
    await publish_decisions(database, settings)
    database.execute("UPDATE memferry.decision SET published = false")  # killed before it was noted

    await publish_decisions(database, settings)
    decide(database, settings, savepoint(settings, "after"))
    await publish_decisions(database, settings)

    await read_control(database, settings)
    assert set(savepoints(database, settings)) == {"before", "after"}


async def test_a_decision_is_kept_while_kafka_is_away(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    away = msgspec.structs.replace(
        settings, kafka=Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)
    )
    decide(database, settings, savepoint(settings, "before"))

    with pytest.raises(BrokerUnreachable) as refused:
        await publish_decisions(database, away)

    assert "made but not published" in refused.value.what
    assert refused.value.where == away.kafka.bootstrap
    assert await publish_decisions(database, settings) == 1


async def test_a_topic_without_a_control_topic_is_named(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    other = msgspec.structs.replace(settings, topic="nowhere")

    with pytest.raises(TopicMissing, match=r"nowhere\.control"):
        await read_control(database, other)
