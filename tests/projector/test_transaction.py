import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.checkpoint import Fenced, claim
from projector.control_tables import Projection
from projector.transaction import EventRefused
from schemas.errors import FerryError
from schemas.lane import partition_of
from schemas.settings import Settings
from tests.projector.app import App, accounts_in, tables
from tests.projector.segments import Worker, lanes_in, offsets_in
from tests.projector.waiting import until_blocked_by

A, B, *MANY = accounts_in(0, 1_500)
C, *OTHERS = accounts_in(1, 400)


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


def test_a_transaction_that_is_refused_leaves_rows_lanes_and_checkpoint_as_they_were(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    before = tables(database, projection.name)
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (balance < 10)")
    app.deposit(A, 50)

    (stop,) = worker.transactions.apply(worker.segments(app))

    assert isinstance(stop[1], EventRefused)
    assert tables(database, projection.name) == before
    assert lanes_in(database, projection.name) == {0: 1}
    assert offsets_in(database, projection.name) == {0: 1, 1: 0, 2: 0}


def test_one_bad_event_among_thousands_is_found_and_everything_before_it_is_applied(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(*MANY[:800], owner="Ada")
    app.open(MANY[800], owner="Mallory")
    app.open(*MANY[801:], owner="Ada")
    app.open(*OTHERS, owner="Bob")
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")
    worker = Worker(database, projection)

    ((segment, error),) = worker.transactions.apply(worker.segments(app))

    assert segment.partition == 0
    assert isinstance(error, EventRefused)
    assert "event 801 cannot be applied" in error.what
    assert "accounts_owner_check" in error.what
    assert "table accounts" in error.where
    assert MANY[800] in error.where
    assert "lane app-1/g1/p0, seq 801, partition 0, offset 800" in error.where
    found = {row[0] for row in tables(database, projection.name)["accounts"]}
    assert found == {*MANY[:800], *OTHERS}
    assert offsets_in(database, projection.name) == {0: 800, 1: len(OTHERS), 2: 0}
    assert lanes_in(database, projection.name) == {0: 800, 1: len(OTHERS)}


@pytest.mark.parametrize("bad", [0, 1, 6, 7])
def test_the_bad_event_is_found_wherever_it_stands(
    app: App, database: psycopg.Connection[Any], projection: Projection, bad: int
) -> None:
    for place, name in enumerate(MANY[:8]):
        app.open(name, owner="Mallory" if place == bad else "Ada")
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")
    worker = Worker(database, projection)

    ((_, error),) = worker.transactions.apply(worker.segments(app))

    assert f"seq {bad + 1}, partition 0, offset {bad}" in error.where
    assert offsets_in(database, projection.name)[0] == bad


def test_an_event_that_contradicts_the_tables_names_table_and_key(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    database.execute(f"DELETE FROM {projection.name}.accounts WHERE account = %s", (B,))
    app.deposit(A, 1)
    app.deposit(B, 1)

    ((_, error),) = worker.transactions.apply(worker.segments(app))

    assert isinstance(error, EventRefused)
    assert "not in the table" in error.what
    assert error.where == f"table accounts, key {B}; lane app-1/g1/p0, seq 4, partition 0, offset 3"


def test_a_row_that_is_there_already_names_table_and_key(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A)
    database.execute(
        f"INSERT INTO {projection.name}.accounts VALUES (%s, 'x', 0, now(), '{{}}')", (A,)
    )
    worker = Worker(database, projection)

    ((_, error),) = worker.transactions.apply(worker.segments(app))

    assert "table accounts" in error.where
    assert f"(account)=({A})" in error.where


def test_a_key_that_no_index_takes_stops_its_partition_alone(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    names = (secrets.token_hex(9_000) for _ in range(100))
    long = next(name for name in names if partition_of(f"account/{name}", 3) == 0)
    app.open(A, long, C)
    worker = Worker(database, projection)

    ((segment, error),) = worker.transactions.apply(worker.segments(app))

    assert segment.partition == 0
    assert isinstance(error, EventRefused)
    assert "index row" in str(error)
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A, C}


def test_duplicates_before_a_bad_event_are_done_with(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    app.deposit(A, -1)  # the table has CHECK (balance >= 0)
    (segment,) = worker.segments(app)
    behind_three = segment.items[0]._replace(offset=4)

    stops = worker.transactions.apply([segment._replace(new_offset=5, items=[behind_three])])

    assert "offset 4" in stops[0][1].where
    assert offsets_in(database, projection.name)[0] == 4
    assert lanes_in(database, projection.name) == {0: 1}


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
