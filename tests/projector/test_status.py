from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.control_tables import ProjectionMissing, set_state
from projector.log import BrokerUnreachable
from projector.replay.savepoints import take
from projector.status import read_status
from projector.trail import note
from schemas.control import SnapshotCompleted, SourceRetired
from schemas.settings import Kafka, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import project


@pytest.fixture
async def projected(app: App, broker: Broker, topic: Settings) -> App:
    app.open(*accounts_in(0, 4), *accounts_in(2, 2))
    broker.publish(topic, app.rows())
    await project(topic, {0: 3, 1: 0, 2: 2})
    return app


async def test_status_says_how_far_each_partition_is_and_how_far_behind(
    projected: App, settings: Settings
) -> None:
    status = await read_status(settings, DOMAIN)

    found = [(p.partition, p.next_offset, p.end_offset, p.lag) for p in status.partitions]
    assert found == [(0, 3, 4, 1), (1, 0, 0, 0), (2, 2, 2, 0)]
    assert all("process" in p.holder and p.stopped == "" for p in status.partitions)
    assert (status.projection, status.state, status.reason) == (settings.projection, "live", "")
    assert status.trail_intact


async def test_status_says_what_became_of_the_sources(
    projected: App, broker: Broker, settings: Settings
) -> None:
    first = (await read_status(settings, DOMAIN)).sources
    count = len(projected.rows())
    projected.recorder.record_control(SnapshotCompleted("app-1", 0, 0))
    projected.recorder.record_control(SourceRetired("app-1", {})).durable(5)
    broker.publish(settings, projected.rows()[count:])
    await project(settings)

    (source,) = (await read_status(settings, DOMAIN)).sources

    assert [(s.name, s.snapshot_at, s.retired_at) for s in first] == [("app-1", None, None)]
    assert source.snapshot_at is not None
    assert source.retired_at is not None
    assert source.snapshot_at <= source.retired_at


async def test_status_shows_savepoints_and_why_a_projection_is_held(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    taken = await take(database, settings, settings.projection, "before")
    set_state(database, settings.projection, "held", "replayed to 0:1")

    status = await read_status(settings, DOMAIN)

    assert status.savepoints == [taken]
    assert (status.state, status.reason) == ("held", "replayed to 0:1")


async def test_status_can_be_written_as_json(projected: App, settings: Settings) -> None:
    status = await read_status(settings, DOMAIN)

    document = msgspec.json.decode(msgspec.json.encode(status))

    assert document["partitions"][0]["lag"] == 1


async def test_an_altered_trail_is_shown(
    projected: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    note(database, "first", {}, {})
    note(database, "second", {}, {})
    newest = "(SELECT max(id) FROM memferry.trail)"
    database.execute(f"UPDATE memferry.trail SET action = 'forged' WHERE id = {newest}")

    altered = await read_status(settings, DOMAIN)
    database.execute(f"UPDATE memferry.trail SET action = 'second' WHERE id = {newest}")

    assert not altered.trail_intact
    assert (await read_status(settings, DOMAIN)).trail_intact


async def test_what_is_not_there_is_named(projected: App, settings: Settings) -> None:
    other = msgspec.structs.replace(settings, projection="nowhere")
    away = msgspec.structs.replace(
        settings, kafka=Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)
    )

    with pytest.raises(ProjectionMissing, match="nowhere"):
        await read_status(other, DOMAIN)
    with pytest.raises(BrokerUnreachable):
        await read_status(away, DOMAIN)
