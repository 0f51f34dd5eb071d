from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.checkpoint import Fenced, claim
from projector.control_tables import Projection
from schemas.errors import FerryError
from schemas.settings import Settings
from tests.projector.app import App, accounts_in, tables
from tests.projector.segments import Worker, lanes_in, offsets_in
from tests.projector.waiting import until_blocked_by

A, B = accounts_in(0, 2)
(C,) = accounts_in(1, 1)


def test_rows_lanes_and_checkpoint_are_there_together(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B, C)
    app.deposit(A, 5)
    app.end(B)
    app.read("m", 1)
    worker = Worker(database, projection)
    segments = worker.segments(app)

    stops = worker.transactions.apply(segments)

    assert stops == []
    assert tables(database, projection.name) == app.expected()
    assert offsets_in(database, projection.name) == {
        **dict.fromkeys(range(3), 0), **{s.partition: s.new_offset for s in segments}
    }  # fmt: skip
    assert lanes_in(database, projection.name) == {s.partition: s.new_offset for s in segments}
    assert worker.claim.offsets == offsets_in(database, projection.name)


def test_a_segment_that_stops_is_applied_up_to_there_and_handed_back(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B)
    worker = Worker(database, projection)
    reason = FerryError("a hole")
    (segment,) = worker.segments(app)

    stops = worker.transactions.apply([segment._replace(stopped=reason)])

    assert [error for _, error in stops] == [reason]
    assert tables(database, projection.name) == app.expected()


def test_a_zombie_touches_nothing(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, C)
    zombie = Worker(database, projection)
    segments = zombie.segments(app)
    claim(database, projection, "live")

    with pytest.raises(Fenced):
        zombie.transactions.apply(segments)

    assert tables(database, projection.name) == {"accounts": set(), "readings": set()}
    assert zombie.claim.offsets == {0: 0, 1: 0, 2: 0}


def test_a_zombie_with_a_bad_event_is_fenced_and_not_told_of_the_event(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B)
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Ada')")
    zombie = Worker(database, projection)
    segments = zombie.segments(app)
    claim(database, projection, "live")

    with pytest.raises(Fenced):
        zombie.transactions.apply(segments)


@pytest.fixture
def watch(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        yield conn


def test_the_victim_of_a_deadlock_tries_again(
    stack: Stack,
    settings: Settings,
    app: App,
    database: psycopg.Connection[Any],
    watch: psycopg.Connection[Any],
    projection: Projection,
) -> None:
    with psycopg.connect(Postgres(stack.directory).superuser_url) as superuser:
        superuser.execute("GRANT SET ON PARAMETER deadlock_timeout TO memferry")
    app.open(A, B)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    app.deposit(A, 1)
    app.deposit(B, 2)
    segments = worker.segments(app)
    # Whoever looks first at the closed circle is its victim: us, and once it is closed.
    database.execute("SET deadlock_timeout = '300ms'")

    with psycopg.connect(settings.postgres.dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '20s'")
        other.execute(f"UPDATE {projection.name}.accounts SET owner = owner")
        applying = pool.submit(worker.transactions.apply, segments)
        until_blocked_by(watch, other)
        other.execute(
            "SELECT FROM memferry.checkpoint WHERE projection = %s FOR UPDATE", (projection.name,)
        )
        assert not applying.done()
        other.rollback()

        assert applying.result(10) == []
    assert tables(watch, projection.name) == app.expected()
    assert offsets_in(watch, projection.name)[0] == 4
