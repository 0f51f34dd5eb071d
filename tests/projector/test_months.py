from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.apply import FEW_ROWS, Applier
from projector.control_tables import connect
from projector.fold import ChangeRefused, Fold
from projector.months import Months, month_of
from schemas.settings import Settings
from schemas.tables import Change, Insert, Patch, Table, Upsert
from tests.projector.waiting import until_blocked_by

QUOTES = Table("quotes", ("symbol", "at", "price"), ("symbol", "at"), months="at")
CLOSES = Table("closes", ("symbol", "at", "price"), ("symbol", "at"), months="at")
TABLES = (QUOTES, CLOSES)
DDL = """
    CREATE TABLE quotes (
        symbol text COLLATE "C" NOT NULL, at timestamptz NOT NULL, price int NOT NULL,
        PRIMARY KEY (symbol, at), CONSTRAINT price_is_one CHECK (price > 0)
    ) PARTITION BY RANGE (at);
    CREATE INDEX quotes_by_price ON quotes (price);
    CREATE TABLE closes (LIKE quotes INCLUDING ALL) PARTITION BY RANGE (at);
"""
NOVEMBER = datetime(2026, 11, 26, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> Iterator[str]:
    name = settings.projection
    database.execute(f"CREATE SCHEMA {name}; SET search_path TO {name}; {DDL}")
    database.execute("RESET search_path")
    yield name
    database.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def months(database: psycopg.Connection[Any], schema: str) -> Months:
    return Months(database, schema, TABLES)


def folded(*changes: Change) -> Fold:
    fold = Fold(TABLES)
    for change in changes:
        fold.add(change)
    return fold


def quotes_at(*times: datetime) -> Fold:
    return folded(*[Insert(QUOTES, ("IBM", at, 1)) for at in times])


def partitions(conn: psycopg.Connection[Any], schema: str) -> list[str]:
    return [
        name
        for (name,) in conn.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
            "WHERE relispartition AND relkind = 'r' AND nspname = %s ORDER BY 1",
            (schema,),
        )
    ]


@pytest.mark.parametrize("few_rows", [0, FEW_ROWS], ids=["copied", "as a parameter"])
@pytest.mark.parametrize("change", [Insert, Upsert])
def test_rows_of_many_months_go_each_into_its_own(
    database: psycopg.Connection[Any],
    schema: str,
    change: type[Insert] | type[Upsert],
    few_rows: int,
) -> None:
    applier = Applier(database, schema, TABLES, few_rows=few_rows)
    times = [
        datetime(2025, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 31, 23, tzinfo=timezone(timedelta(hours=-5))),  # April in UTC
        datetime(2024, 2, 29, tzinfo=UTC),
    ]
    fold = folded(*[change(QUOTES, ("IBM", at, 1)) for at in times])

    with database.transaction():
        applier.apply(fold)  # which makes them first

    found = database.execute(f"SELECT tableoid::regclass::text, at FROM {schema}.quotes")
    assert {(name.partition(".")[2], at.astimezone(UTC)) for name, at in found} == {
        ("quotes_2025_12", times[0]),
        ("quotes_2026_01", times[1]),
        ("quotes_2026_04", times[2]),
        ("quotes_2024_02", times[3]),
    }


def test_a_month_has_the_indexes_and_constraints_of_its_table(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    months.require(quotes_at(NOVEMBER))

    month = f"{schema}.quotes_2026_11"
    count = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisvalid"
    assert database.execute(count, (month,)).fetchone() == (2,)
    with pytest.raises(psycopg.errors.CheckViolation, match="price_is_one"):
        database.execute(f"INSERT INTO {schema}.quotes VALUES ('IBM', '2026-11-26', 0)")


def test_known_months_cost_no_statement(settings: Settings, schema: str) -> None:
    with connect(settings, "months") as conn:
        months = Months(conn, schema, TABLES)
        months.require(quotes_at(NOVEMBER, DECEMBER))
        months.require(quotes_at(NOVEMBER))  # they are there to stay

    assert conn.closed
    assert months.require(quotes_at(NOVEMBER, DECEMBER + timedelta(days=30))) == 0


def test_a_gap_between_known_months_is_seen(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    january, may = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)
    assert months.require(quotes_at(january, may)) == 2

    assert months.require(quotes_at(january, datetime(2026, 3, 5, tzinfo=UTC), may)) == 1

    assert partitions(database, schema) == [f"quotes_2026_0{month}" for month in (1, 3, 5)]


def test_what_a_rollback_took_away_is_made_again(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    fold = quotes_at(NOVEMBER)
    with database.transaction(force_rollback=True):
        months.require(fold)
        with database.transaction(force_rollback=True):
            months.require(quotes_at(DECEMBER))
        months.require(quotes_at(NOVEMBER, DECEMBER))
        assert months.require(quotes_at(NOVEMBER, DECEMBER)) == 0
        assert partitions(database, schema) == ["quotes_2026_11", "quotes_2026_12"]

    assert months.require(fold) == 1

    assert partitions(database, schema) == ["quotes_2026_11"]


def test_a_month_of_another_worker_is_found(
    database: psycopg.Connection[Any], schema: str, months: Months, settings: Settings
) -> None:
    with connect(settings, "other") as other:
        assert Months(other, schema, TABLES).require(quotes_at(NOVEMBER)) == 1

    assert months.require(quotes_at(NOVEMBER)) == 0


def test_workers_that_need_one_month_at_one_moment_make_it_once(
    database: psycopg.Connection[Any], schema: str, settings: Settings
) -> None:
    fold = folded(Insert(QUOTES, ("IBM", NOVEMBER, 1)), Insert(CLOSES, ("IBM", DECEMBER, 1)))
    with (
        connect(settings, "first") as first,
        connect(settings, "second") as second,
        ThreadPoolExecutor(1) as pool,
    ):
        with first.transaction():
            assert Months(first, schema, TABLES).require(fold) == 2
            other = pool.submit(Months(second, schema, TABLES).require, fold)
            until_blocked_by(database, first)

        assert other.result(10) == 0

    assert partitions(database, schema) == ["closes_2026_12", "quotes_2026_11"]


def test_a_running_batch_neither_waits_for_a_new_month_nor_holds_it_up(
    database: psycopg.Connection[Any], schema: str, months: Months, settings: Settings
) -> None:
    months.require(quotes_at(NOVEMBER))
    insert = f"INSERT INTO {schema}.quotes VALUES (%s, %s, 1)"
    with connect(settings, "other") as other:
        other.execute("SET lock_timeout = '5s'")
        database.execute("SET lock_timeout = '5s'")
        with other.transaction():
            other.execute(insert, ("IBM", NOVEMBER))
            with database.transaction():
                assert months.require(quotes_at(DECEMBER)) == 1
                other.execute(insert, ("SAP", NOVEMBER))


@pytest.mark.parametrize(
    "at",
    [
        datetime(1899, 12, 31, tzinfo=UTC),
        datetime(2200, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 11, 26),  # noqa: DTZ001
        None,
    ],
)
def test_a_time_that_no_month_can_have_is_refused_and_names_its_row(
    database: psycopg.Connection[Any], schema: str, months: Months, at: Any
) -> None:
    with pytest.raises(ChangeRefused, match="at is no") as refused:
        months.require(folded(Insert(QUOTES, ("IBM", NOVEMBER, 1)), Insert(QUOTES, ("X", at, 1))))

    assert (refused.value.table, refused.value.key) == ("quotes", ("X", at))


def test_a_change_of_a_row_makes_no_month(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    assert months.require(folded(Patch(QUOTES, ("IBM", NOVEMBER), {"price": 2}))) == 0

    assert partitions(database, schema) == []


def test_a_month_that_was_detached_is_not_written_over(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    months.require(quotes_at(NOVEMBER))
    database.execute(f"ALTER TABLE {schema}.quotes DETACH PARTITION {schema}.quotes_2026_11")
    months.forget()

    with pytest.raises(ChangeRefused, match=r"partition quotes_2026_11 cannot be made.*detached"):
        months.require(quotes_at(NOVEMBER))
    database.execute(f"ALTER TABLE {schema}.quotes_2026_11 RENAME TO kept")

    assert months.require(quotes_at(NOVEMBER)) == 1


def test_wider_partitions_of_somebody_elses_are_used(
    database: psycopg.Connection[Any], schema: str, months: Months
) -> None:
    part = (
        f"CREATE TABLE {schema}.{{}} PARTITION OF {schema}.quotes FOR VALUES FROM ({{}}) TO ({{}})"
    )
    database.execute(part.format("old", "MINVALUE", "'2026-01-01 00:00+00'"))
    database.execute(part.format("odd", "'2026-01-01 00:00+00'", "'2026-11-15 00:00+00'"))

    assert months.require(quotes_at(datetime(1950, 1, 1, tzinfo=UTC), NOVEMBER.replace(day=1))) == 0
    with pytest.raises(ChangeRefused, match="would overlap"):
        months.require(quotes_at(NOVEMBER))


def test_a_table_in_one_piece_needs_no_months(
    database: psycopg.Connection[Any], schema: str
) -> None:
    database.execute(f"CREATE TABLE {schema}.whole (LIKE {schema}.quotes)")
    whole = Table("whole", QUOTES.columns, QUOTES.key, months="at")
    fold = Fold([whole])
    fold.add(Insert(whole, ("IBM", NOVEMBER, 1)))

    assert Months(database, schema, [whole]).require(fold) == 0


@given(st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_month_holds_its_time_and_is_a_month_long(value: datetime) -> None:
    first, end = month_of(value)

    assert first <= value < end
    assert (first.day, end.day) == (1, 1)
    assert timedelta(days=28) <= end - first <= timedelta(days=31)
