"""Events that cannot be applied, put aside in the transaction of their batch, and tried again."""

import secrets
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from projector.checkpoint import Fenced, claim
from projector.control_tables import Projection
from schemas.errors import FerryError
from schemas.lane import partition_of
from tests.projector.app import App, accounts_in, tables
from tests.projector.segments import Worker, lanes_in, offsets_in

A, B, *MANY = accounts_in(0, 1_500)
C, *OTHERS = accounts_in(1, 400)


def parked(conn: psycopg.Connection[Any], projection: Projection) -> list[Any]:
    """Return the rows of memferry.parked in the order of their offsets."""
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "SELECT * FROM memferry.parked WHERE projection = %s ORDER BY partition, record_offset",
            (projection.name,),
        ).fetchall()


def refuse_mallory(database: psycopg.Connection[Any], projection: Projection) -> None:
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")


def test_one_bad_event_among_thousands_is_parked_and_all_others_are_applied(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(*MANY[:800], owner="Ada")
    app.open(MANY[800], owner="Mallory")
    app.open(*MANY[801:], owner="Ada")
    app.deposit(MANY[800], 5)
    app.open(*OTHERS, owner="Bob")
    refuse_mallory(database, projection)
    worker = Worker(database, projection)

    assert worker.transactions.apply(worker.segments(app)) == []

    bad, behind = parked(database, projection)
    assert bad.seq == 801
    assert (bad.partition, bad.record_offset, bad.behind) == (0, 800, False)
    assert bad.stream == f"account/{MANY[800]}"
    assert "accounts_owner_check" in bad.reason
    assert "table accounts" in bad.place
    assert MANY[800] in bad.place
    assert "lane app-1/g1/p0, seq 801, partition 0, offset 800" in bad.place
    assert (behind.stream, behind.behind) == (bad.stream, True)
    found = {row[0] for row in tables(database, projection.name)["accounts"]}
    assert found == {*MANY, *OTHERS} - {MANY[800]}
    assert offsets_in(database, projection.name) == {0: len(MANY) + 1, 1: len(OTHERS), 2: 0}
    assert lanes_in(database, projection.name) == {0: len(MANY) + 1, 1: len(OTHERS)}
    assert (worker.transactions.applied, worker.transactions.parked) == (
        len(MANY) - 1 + len(OTHERS), 2,
    )  # fmt: skip


@pytest.mark.parametrize("bad", [{0}, {1, 2}, {0, 3, 6}, {7}, set(range(8))])
def test_bad_events_are_found_wherever_they_stand(
    app: App, database: psycopg.Connection[Any], projection: Projection, bad: set[int]
) -> None:
    for place, name in enumerate(MANY[:8]):
        app.open(name, owner="Mallory" if place in bad else "Ada")
    refuse_mallory(database, projection)
    worker = Worker(database, projection)

    worker.transactions.apply(worker.segments(app))

    assert [event.record_offset for event in parked(database, projection)] == sorted(bad)
    assert offsets_in(database, projection.name)[0] == 8
    found = {row[0] for row in tables(database, projection.name)["accounts"]}
    assert found == {name for place, name in enumerate(MANY[:8]) if place not in bad}


def test_halving_costs_two_attempts_a_level(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(*MANY[:1_023], owner="Ada")
    app.open(MANY[1_023], owner="Mallory")
    refuse_mallory(database, projection)
    worker = Worker(database, projection)
    (segment,) = worker.segments(app)
    database.execute(
        f"""
        CREATE FUNCTION {projection.name}.count_attempts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE NOTICE 'attempt';
            RETURN NULL;
        END $$;
        CREATE TRIGGER attempts BEFORE INSERT ON {projection.name}.accounts
            FOR EACH STATEMENT EXECUTE FUNCTION {projection.name}.count_attempts();
        """
    )
    attempts: list[str] = []
    database.add_notice_handler(lambda notice: attempts.append(notice.message_primary or ""))

    worker.transactions.apply([segment])

    # The whole batch at once, once more under a savepoint, then both halves ten times.
    assert attempts.count("attempt") == 2 + 2 * 10


def test_what_comes_later_for_a_parked_stream_waits_behind_it_also_after_a_new_claim(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    refuse_mallory(database, projection)
    app.open(A, owner="Mallory")
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    app.deposit(A, 5)
    app.open(B)
    worker.transactions.apply(worker.segments(app))
    app.end(A)

    again = Worker(database, projection)
    again.transactions.apply(again.segments(app))

    assert [(event.seq, event.behind) for event in parked(database, projection)] == [
        (1, False), (2, True), (4, True)
    ]  # fmt: skip
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {B}
    assert again.transactions.waiting == {f"account/{A}": 0}


def test_an_event_that_cannot_be_handled_is_parked_with_its_bytes(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B)
    app.deposit(A, 1)
    worker = Worker(database, projection)
    (segment,) = worker.segments(app)
    (first, _), *rest = segment.items

    worker.transactions.apply(
        [segment._replace(items=[(first, ()), *rest], refused={0: FerryError("unreadable")})]
    )

    bad, behind = parked(database, projection)
    assert (bad.record_offset, bad.reason, bad.event) == (0, "unreadable", first.value)
    assert (behind.record_offset, behind.behind) == (2, True)
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {B}


def test_what_is_before_an_unreadable_event_is_applied_though_the_batch_is_halved(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    refuse_mallory(database, projection)
    app.open(A)
    app.open(B, owner="Mallory")
    app.deposit(A, 1)
    app.deposit(A, 2)
    worker = Worker(database, projection)
    (segment,) = worker.segments(app)
    *items, (last, _) = segment.items

    worker.transactions.apply(
        [segment._replace(items=[*items, (last, ())], refused={3: FerryError("unreadable")})]
    )

    assert [event.record_offset for event in parked(database, projection)] == [1, 3]
    assert {row[2] for row in tables(database, projection.name)["accounts"]} == {1}


def test_a_parked_stream_is_applied_by_a_retry_once_the_table_takes_it(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    refuse_mallory(database, projection)
    app.open(A, owner="Mallory")
    app.deposit(A, 5)
    app.open(B)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    stream = f"account/{A}"

    still = worker.transactions.retry(stream)
    assert (still.applied, still.left) == (0, 2)
    assert "accounts_owner_check" in still.reason
    database.execute(f"ALTER TABLE {projection.name}.accounts DROP CONSTRAINT accounts_owner_check")
    assert worker.transactions.retry(stream) == (2, 0, "")

    assert parked(database, projection) == []
    assert worker.transactions.waiting == {}
    app.deposit(A, 1)
    worker.transactions.apply(worker.segments(app))
    assert tables(database, projection.name) == app.expected()


def test_a_retry_keeps_what_is_refused_again_and_all_behind_it(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    refuse_mallory(database, projection)
    app.open(A, owner="Mallory")
    app.deposit(A, 5)
    app.deposit(A, 90)
    app.deposit(A, 1)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    database.execute(
        f"ALTER TABLE {projection.name}.accounts DROP CONSTRAINT accounts_owner_check, "
        "ADD CONSTRAINT no_more CHECK (balance < 90)"
    )
    # A new claim: rules are read when a projector begins.
    worker = Worker(database, projection)

    done = worker.transactions.retry(f"account/{A}")

    assert (done.applied, done.left) == (2, 2)
    assert "no_more" in done.reason
    first, second = parked(database, projection)
    assert (first.seq, first.behind, second.seq, second.behind) == (3, False, 4, True)
    assert "no_more" in first.reason
    assert {row[2] for row in tables(database, projection.name)["accounts"]} == {5}


def test_a_zombie_retries_nothing(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    refuse_mallory(database, projection)
    app.open(A, owner="Mallory")
    zombie = Worker(database, projection)
    zombie.transactions.apply(zombie.segments(app))
    database.execute(f"ALTER TABLE {projection.name}.accounts DROP CONSTRAINT accounts_owner_check")
    claim(database, projection, "live")

    with pytest.raises(Fenced):
        zombie.transactions.retry(f"account/{A}")

    assert len(parked(database, projection)) == 1


def test_an_event_that_contradicts_the_tables_names_table_and_key(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, B)
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    database.execute(f"DELETE FROM {projection.name}.accounts WHERE account = %s", (B,))
    app.deposit(A, 1)
    app.deposit(B, 1)

    worker.transactions.apply(worker.segments(app))

    (bad,) = parked(database, projection)
    assert "not in the table" in bad.reason
    assert bad.place == f"table accounts, key {B}; lane app-1/g1/p0, seq 4, partition 0, offset 3"


def test_a_row_that_is_there_already_names_table_and_key(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A)
    database.execute(
        f"INSERT INTO {projection.name}.accounts VALUES (%s, 'x', 0, now(), '{{}}')", (A,)
    )
    worker = Worker(database, projection)

    worker.transactions.apply(worker.segments(app))

    (bad,) = parked(database, projection)
    assert "table accounts" in bad.place
    assert f"(account)=({A})" in bad.place


def test_a_key_that_no_index_takes_is_parked(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    names = (secrets.token_hex(9_000) for _ in range(100))
    long = next(name for name in names if partition_of(f"account/{name}", 3) == 0)
    app.open(A, long, C)
    worker = Worker(database, projection)

    worker.transactions.apply(worker.segments(app))

    (bad,) = parked(database, projection)
    assert "index row" in bad.reason
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A, C}


def test_a_rule_that_is_looked_at_only_at_the_commit_parks_its_event(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    database.execute(
        f"ALTER TABLE {projection.name}.accounts ADD UNIQUE (owner) DEFERRABLE INITIALLY DEFERRED"
    )
    app.open(A, owner="Ada")
    app.open(B, owner="Ada")
    app.open(C, owner="Bob")
    worker = Worker(database, projection)

    worker.transactions.apply(worker.segments(app))

    assert [event.stream for event in parked(database, projection)] == [f"account/{B}"]
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A, C}
