from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from projector.control_tables import ProjectionMissing, connect, establish
from projector.drift import DdlRefused, find_drift
from projector.missing import TablesBusy, make_missing
from projector.months import Months
from projector.trail import first_broken
from schemas.domain import Domain
from schemas.settings import Settings
from tests.projector.test_months import NOVEMBER, TABLES, quotes_at
from tests.projector.waiting import until_blocked_by

QUOTES = """
    CREATE TABLE quotes (
        symbol text NOT NULL, at timestamptz NOT NULL, price int NOT NULL, PRIMARY KEY (symbol, at)
    ) PARTITION BY RANGE (at);
"""
ORDERS = "CREATE TABLE orders (number int PRIMARY KEY, client text NOT NULL, price int NOT NULL);"
BEFORE = (
    QUOTES
    + ORDERS
    + """
    CREATE VIEW dear AS SELECT number FROM orders WHERE price > 10;
    CREATE VIEW cheap AS SELECT number, price FROM orders WHERE price < 5;
    COMMENT ON TABLE orders IS 'Orders.';
"""
)
NOW = (
    QUOTES
    + ORDERS
    + """
    CREATE TABLE lines (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number int NOT NULL,
        CONSTRAINT number_is_one CHECK (number > 0)
    );
    CREATE INDEX lines_by_number ON lines (number);
    COMMENT ON COLUMN lines.number IS 'Of the order.';
    CREATE INDEX orders_by_client ON orders (lower(client)) WHERE price > 0;
    CREATE UNIQUE INDEX orders_once ON orders (client, price);
    CREATE INDEX quotes_by_price ON quotes (price);
    CREATE VIEW dear AS SELECT number, client FROM orders WHERE price > 20;
    CREATE VIEW cheap AS SELECT price, number FROM orders WHERE price < 5;
    CREATE VIEW dearest AS SELECT number FROM dear WHERE client = 'Ada';
    COMMENT ON TABLE orders IS 'What clients want.';
    COMMENT ON COLUMN orders.price IS 'A share.';
    COMMENT ON VIEW dearest IS 'Hers.';
"""
)
DOMAIN = Domain("growing", (), NOW)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> str:
    """A projection made by earlier DDL, with rows in tables and in two months."""
    name = settings.projection
    establish(database, settings, Domain("growing", (), BEFORE), 1)
    months = Months(database, name, TABLES[:1])
    months.require(quotes_at(JANUARY, NOVEMBER))
    database.execute(f"INSERT INTO {name}.quotes VALUES ('IBM', '2026-01-05', 7)")
    database.execute(f"INSERT INTO {name}.orders VALUES (1, 'Ada', 30), (2, 'Bob', 3)")
    return name


def test_an_earlier_projection_is_brought_to_the_ddl_with_its_rows(
    database: psycopg.Connection[Any], schema: str
) -> None:
    made = make_missing(database, schema, DOMAIN)

    assert made.left == []
    assert made.done == [
        "table lines",
        "view dear",
        "view cheap",
        "view dearest",
        "comment on VIEW dearest",
        "comment on TABLE orders",
        "comment on COLUMN orders.price",
        "index quotes.quotes_by_price, beside what is written",
        "index orders.orders_by_client, beside what is written",
        "index orders.orders_once, beside what is written",
    ]
    assert find_drift(database, schema, DOMAIN) == []
    assert database.execute(f"SELECT * FROM {schema}.dearest").fetchall() == [(1,)]
    assert database.execute(f"SELECT * FROM {schema}.cheap").fetchall() == [(3, 2)]
    assert database.execute(f"SELECT count(*) FROM {schema}.quotes").fetchone() == (1,)
    assert Months(database, schema, TABLES[:1]).require(quotes_at(JANUARY, NOVEMBER)) == 0
    assert make_missing(database, schema, DOMAIN).done == []


def test_what_was_made_is_in_the_audit_trail(
    database: psycopg.Connection[Any], schema: str
) -> None:
    made = make_missing(database, schema, DOMAIN)

    noted = database.execute(
        "SELECT after FROM memferry.trail WHERE action = 'tables brought to the DDL' "
        "AND after->>'projection' = %s ORDER BY id",
        (schema,),
    ).fetchall()
    assert [one for (after,) in noted for one in after["made"]] == made.done
    assert first_broken(database) is None


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("ALTER TABLE orders ADD CONSTRAINT more CHECK (price < 99)", "constraint orders.more"),
        ("ALTER TABLE orders ALTER price DROP NOT NULL", "column orders.price"),
        ("CREATE INDEX more ON orders (client)", "index orders.more"),
        ("CREATE TABLE more (a int)", "table more"),
        ("CREATE INDEX orders_by_client ON orders (price)", "index orders.orders_by_client"),
        (
            "DROP TABLE quotes; " + QUOTES.replace("PARTITION BY RANGE (at)", ""),
            "table quotes",
        ),
    ],
)
def test_what_would_touch_rows_or_drop_something_is_left_and_said(
    database: psycopg.Connection[Any], schema: str, statement: str, place: str
) -> None:
    with database.transaction():
        database.execute(f"SET LOCAL search_path TO {schema}")
        database.execute(statement)

    made = make_missing(database, schema, DOMAIN)

    assert [one.place for one in made.left] == [place]


def test_a_view_that_others_need_is_left_as_it_is(
    database: psycopg.Connection[Any], schema: str
) -> None:
    database.execute(f"CREATE VIEW {schema}.mine AS SELECT * FROM {schema}.cheap")

    made = make_missing(database, schema, DOMAIN)

    assert [(one.change, one.place) for one in made.left] == [
        ("changed", "view cheap"),
        ("extra", "view mine"),
    ]


def test_indexes_whose_making_was_cut_short_are_finished(
    database: psycopg.Connection[Any], schema: str
) -> None:
    with database.transaction():
        database.execute(f"SET LOCAL search_path TO {schema}")
        database.execute("CREATE INDEX quotes_by_price ON ONLY quotes (price)")
        database.execute("CREATE INDEX quotes_by_price_2026_01 ON quotes_2026_01 (price)")

    make_missing(database, schema, DOMAIN)

    assert find_drift(database, schema, DOMAIN) == []


def test_a_unique_index_that_the_rows_contradict_is_refused_and_finished_once_they_do_not(
    database: psycopg.Connection[Any], schema: str
) -> None:
    database.execute(f"INSERT INTO {schema}.orders VALUES (3, 'Ada', 30)")
    with pytest.raises(DdlRefused, match="orders_once"):
        make_missing(database, schema, DOMAIN)
    assert database.execute("SHOW search_path").fetchone() == ('"$user", public',)
    database.execute(f"DELETE FROM {schema}.orders WHERE number = 3")

    assert make_missing(database, schema, DOMAIN).left == []


def test_batches_go_on_while_an_index_is_made(
    database: psycopg.Connection[Any], schema: str, settings: Settings
) -> None:
    make_missing(database, schema, Domain("growing", (), NOW.replace("CREATE INDEX orders", "-- ")))
    insert = f"INSERT INTO {schema}.orders VALUES (%s, 'Cy', %s)"
    with (
        connect(settings, "batch") as batch,
        connect(settings, "next batch") as following,
        ThreadPoolExecutor(1) as pool,
    ):
        following.execute("SET lock_timeout = '5s'")
        with batch.transaction():
            batch.execute(insert, (8, 8))
            making = pool.submit(make_missing, database, schema, DOMAIN)
            until_blocked_by(following, batch)
            following.execute(insert, (9, 9))

        assert making.result(10).left == []


def test_a_table_that_somebody_holds_is_not_waited_for_without_end(
    database: psycopg.Connection[Any],
    schema: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("projector.missing._LOCK_MS", 50)
    with connect(settings, "other") as other, other.transaction():
        other.execute(f"LOCK TABLE {schema}.orders")

        with pytest.raises(TablesBusy, match="within 50 ms") as busy:
            make_missing(database, schema, DOMAIN)

    assert "memferry sql apply" in busy.value.remedy
    assert make_missing(database, schema, DOMAIN).left == []


def test_a_projection_that_is_not_there_is_not_made(
    database: psycopg.Connection[Any], schema: str
) -> None:
    with pytest.raises(ProjectionMissing):
        make_missing(database, f"{schema}_2", DOMAIN)
