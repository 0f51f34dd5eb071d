"""Savepoints that keep a copy of the tables."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.fingerprint import store_fingerprint
from projector.log import BrokerUnreachable
from projector.replay.beside import beside_of, copy, drop
from projector.replay.savepoint_list import listed
from projector.replay.savepoint_tables import (
    CopyInProgress,
    clear_leftovers,
    kept_at,
    nearest,
    sizes,
    turn,
)
from projector.replay.savepoints import Savepoint, SavepointExists, list_all, take
from schemas.domain import Domain
from schemas.settings import Kafka, Settings
from tests.domains.ledger import ACCOUNT, DOMAIN
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project
from tests.projector.segments import offsets_in

Connection = psycopg.Connection[Any]


@pytest.fixture
def database(database: Connection, settings: Settings) -> Iterator[Connection]:
    yield database
    for one in beside_of(database, settings.projection):
        drop(database, one.name)


async def more(app: App, broker: Broker, settings: Settings, name: str) -> None:
    """One more account is in the tables."""
    count = len(app.rows())
    app.open(name)
    broker.publish(settings, app.rows()[count:])
    await project(settings)


async def test_the_position_that_has_the_name_is_the_copys_wherever_the_tables_went_meanwhile(
    projected: App, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    position = await ends(settings)

    def take_elsewhere() -> Savepoint:
        with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
            return asyncio.run(take(conn, settings, projection, "underway", keep=DOMAIN))

    with psycopg.connect(settings.postgres.dsn) as other:
        # A copy that has its snapshot waits for this row.
        other.execute(
            "INSERT INTO memferry.lane VALUES (%s, 'app-1', 1, 0, 1, %s, 1)",
            (f"{projection}__1", "0" * 64),
        )
        taking = asyncio.create_task(asyncio.to_thread(take_elsewhere))
        waits = (
            "SELECT FROM pg_stat_activity WHERE application_name = 'memferry copying tables' "
            "AND wait_event_type = 'Lock'"
        )
        await eventually(lambda: database.execute(waits).fetchone() is not None, "it copies")
        database.execute(
            "UPDATE memferry.checkpoint SET next_offset = next_offset + 1 WHERE projection = %s",
            (projection,),
        )
        other.rollback()
    taken = await taking

    beside = kept_at(database, projection, "underway")
    assert beside is not None
    assert (taken.offsets, taken.tables) == (position, "kept")
    assert offsets_in(database, beside) == position != offsets_in(database, projection)
    assert tables(database, beside) == projected.expected()


async def test_the_list_says_what_is_kept_and_how_large_it_is(
    projected: App, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    await take(database, settings, projection, "plain")
    await take(database, settings, projection, "with tables", keep=DOMAIN)
    await take(database, settings, projection, "used", keep=DOMAIN)
    used = kept_at(database, projection, "used")
    database.execute("UPDATE memferry.beside SET purpose = 'shadow' WHERE name = %s", (used,))

    plain, kept, gone = listed(database, projection, await ends(settings))

    assert (plain.tables, plain.tables_bytes) == ("", None)
    assert (kept.tables, gone.tables, gone.tables_bytes) == ("kept", "used", None)
    assert kept.tables_bytes is not None
    assert kept.tables_bytes == sizes(database, projection)["with tables"] > 8192
    assert [point.since for point in (plain, kept, gone)] == [0, 0, 0]
    assert 0 < gone.age_s <= plain.age_s < 60


async def test_the_list_says_how_many_records_came_since(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "before")
    await more(projected, broker, settings, "late")

    (point,) = listed(database, settings.projection, await ends(settings))
    (unknown,) = listed(database, settings.projection, None)

    assert (point.since, unknown.since) == (1, None)


async def test_a_copy_that_a_kill_left_without_a_savepoint_is_cleared_away(
    projected: App, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    await take(database, settings, projection, "whole", keep=DOMAIN)
    whole = kept_at(database, projection, "whole")
    left, _ = await asyncio.to_thread(
        copy, settings, DOMAIN, projection, "savepoint", savepoint="torn"
    )

    listed(database, projection, None)
    after_list = [one.name for one in beside_of(database, projection)]
    await asyncio.to_thread(copy, settings, DOMAIN, projection, "savepoint", savepoint="torn")
    taken = await take(database, settings, projection, "torn", keep=DOMAIN)

    assert left not in after_list
    assert after_list == [whole]
    assert taken.tables == "kept"
    assert len(beside_of(database, projection)) == 2


async def test_what_somebody_copies_right_now_is_no_leftover(
    projected: App, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as other, turn(other, projection):
        name, _ = copy(settings, DOMAIN, projection, "savepoint", savepoint="coming")

        assert clear_leftovers(database, projection) == []
        with pytest.raises(CopyInProgress) as refused:
            await take(database, settings, projection, "second", keep=DOMAIN)
        plain = await take(database, settings, projection, "plain")

    assert "without --keep-tables" in refused.value.remedy
    assert list_all(database, projection) == [plain]
    assert clear_leftovers(database, projection) == [name]


async def test_a_name_that_is_used_copies_nothing(
    projected: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "before")

    with pytest.raises(SavepointExists):
        await take(database, settings, settings.projection, "before", keep=DOMAIN)

    assert beside_of(database, settings.projection) == []


async def test_without_kafka_nothing_is_copied(
    projected: App, settings: Settings, database: Connection
) -> None:
    nowhere = Kafka(bootstrap=f"127.0.0.1:{free_port()}", timeout_ms=500)
    away = msgspec.structs.replace(settings, kafka=nowhere)

    with pytest.raises(BrokerUnreachable):
        await take(database, away, settings.projection, "before", keep=DOMAIN)

    assert list_all(database, settings.projection) == []
    assert beside_of(database, settings.projection) == []


async def test_the_nearest_is_the_highest_that_is_nowhere_above(
    projected: App, broker: Broker, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    first = await take(database, settings, projection, "first", keep=DOMAIN)
    await more(projected, broker, settings, "one")
    second = await take(database, settings, projection, "second", keep=DOMAIN)
    await more(projected, broker, settings, "two")
    plain = await take(database, settings, projection, "no tables")
    early, late = (kept_at(database, projection, name) for name in ("first", "second"))
    (moved,) = (p for p in second.offsets if second.offsets[p] != first.offsets[p])
    aside = {p: 0 if p != moved else offset for p, offset in plain.offsets.items()}

    assert nearest(database, projection, plain.offsets, DOMAIN) == late
    assert nearest(database, projection, second.offsets, DOMAIN) == late
    assert nearest(database, projection, first.offsets, DOMAIN) == early
    assert nearest(database, projection, aside, DOMAIN) is None
    assert nearest(database, projection, plain.offsets, DOMAIN, lambda n: n != late) == early
    assert nearest(database, projection, plain.offsets, DOMAIN, lambda _: False) is None


async def test_tables_of_other_code_or_half_made_are_none_to_begin_with(
    projected: App, settings: Settings, database: Connection
) -> None:
    projection = settings.projection
    point = await take(database, settings, projection, "before", keep=DOMAIN)
    beside = kept_at(database, projection, "before")
    assert beside is not None
    other = Domain("ledger", (ACCOUNT,), "CREATE TABLE accounts (account text PRIMARY KEY)")

    with_other_code = nearest(database, projection, point.offsets, other)
    store_fingerprint(database, beside, Domain("ledger", (ACCOUNT,), DOMAIN.ddl))
    with_a_kind_more = nearest(database, projection, point.offsets, DOMAIN)
    store_fingerprint(database, beside, DOMAIN)
    same = nearest(database, projection, point.offsets, DOMAIN)
    database.execute(
        "UPDATE memferry.projection SET state = 'rebuilding' WHERE name = %s", (beside,)
    )
    half_made = nearest(database, projection, point.offsets, DOMAIN)

    assert (with_other_code, with_a_kind_more, same, half_made) == (None, None, beside, None)
