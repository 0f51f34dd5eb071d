from typing import Any

import msgspec
import psycopg
import pytest

from projector.control_tables import establish
from projector.drift import DdlRefused, Difference, find_drift
from projector.months import Months
from schemas.domain import Domain
from schemas.settings import Settings
from schemas.trading import DOMAIN as TRADING
from tests.projector.test_months import NOVEMBER, TABLES, quotes_at

DDL = """
    CREATE TABLE orders (
        number bigint NOT NULL PRIMARY KEY,
        client text COLLATE "C" NOT NULL,
        price numeric NOT NULL DEFAULT 1,
        twice numeric GENERATED ALWAYS AS (price * 2) STORED,
        note text,
        CONSTRAINT price_is_one CHECK (price > 0)
    );
    CREATE INDEX orders_by_client ON orders (client) WHERE note IS NULL;
    CREATE UNIQUE INDEX orders_notes ON orders (note);
    COMMENT ON TABLE orders IS 'What clients want.';
    COMMENT ON COLUMN orders.price IS 'A share.';
    CREATE TABLE quotes (
        symbol text NOT NULL, at timestamptz NOT NULL, price int NOT NULL, PRIMARY KEY (symbol, at)
    ) PARTITION BY RANGE (at);
    CREATE INDEX quotes_by_price ON quotes (price);
    CREATE VIEW dear AS SELECT number, price FROM orders WHERE price > 10;
    COMMENT ON VIEW dear IS 'Over ten.';
"""
DOMAIN = Domain("drifting", (), DDL)


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> str:
    establish(database, settings, DOMAIN, 1)
    return settings.projection


def change(conn: psycopg.Connection[Any], schema: str, statement: str) -> None:
    with conn.transaction():
        conn.execute(f"SET LOCAL search_path TO {schema}")
        conn.execute(statement)


def test_a_projection_as_the_ddl_says_has_no_drift_whatever_its_rows_and_months(
    database: psycopg.Connection[Any], schema: str
) -> None:
    change(database, schema, "INSERT INTO orders VALUES (1, 'Ada')")
    Months(database, schema, TABLES[:1]).require(quotes_at(NOVEMBER))

    assert find_drift(database, schema, DOMAIN) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DROP TABLE quotes", ["missing table quotes"]),
        ("CREATE TABLE more (a int PRIMARY KEY)", ["extra table more"]),
        (
            "DROP TABLE quotes; CREATE TABLE quotes (symbol text NOT NULL, at timestamptz NOT NULL,"
            "price int NOT NULL, PRIMARY KEY (symbol, at)); CREATE INDEX quotes_by_price ON quotes "
            "(price)",
            ["changed table quotes"],
        ),
        ("ALTER TABLE orders DROP COLUMN note CASCADE", [
            "missing column orders.note",
            "missing index orders.orders_by_client",
            "missing index orders.orders_notes",
        ]),
        ("ALTER TABLE orders ADD more int", ["extra column orders.more"]),
        ("ALTER TABLE orders ALTER note TYPE varchar(9)", ["changed column orders.note"]),
        ("ALTER TABLE orders ALTER client TYPE text", ["changed column orders.client"]),
        ("ALTER TABLE orders ALTER note SET NOT NULL", ["changed column orders.note"]),
        ("ALTER TABLE orders ALTER price DROP NOT NULL", ["changed column orders.price"]),
        ("ALTER TABLE orders ALTER price SET DEFAULT 2", ["changed column orders.price"]),
        ("ALTER TABLE orders ALTER twice DROP EXPRESSION", ["changed column orders.twice"]),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", [
            "missing constraint orders.orders_pkey"
        ]),
        ("ALTER TABLE orders DROP CONSTRAINT price_is_one", [
            "missing constraint orders.price_is_one"
        ]),
        (
            "ALTER TABLE orders DROP CONSTRAINT price_is_one, "
            "ADD CONSTRAINT price_is_one CHECK (price > 1)",
            ["changed constraint orders.price_is_one"],
        ),
        ("ALTER TABLE orders ADD UNIQUE (client)", ["extra constraint orders.orders_client_key"]),
        ("DROP INDEX orders_by_client", ["missing index orders.orders_by_client"]),
        ("CREATE INDEX more ON orders (price)", ["extra index orders.more"]),
        (
            "DROP INDEX orders_notes; CREATE INDEX orders_notes ON orders (note)",
            ["changed index orders.orders_notes"],
        ),
        ("DROP INDEX quotes_by_price", ["missing index quotes.quotes_by_price"]),
        ("DROP VIEW dear", ["missing view dear"]),
        ("CREATE VIEW cheap AS SELECT 1 AS one", ["extra view cheap"]),
        (
            "CREATE OR REPLACE VIEW dear AS SELECT number, price FROM orders WHERE price > 11",
            ["changed view dear"],
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
            ["extra trigger orders.t"],
        ),
        ("COMMENT ON TABLE orders IS NULL", ["missing comment on TABLE orders"]),
        ("COMMENT ON COLUMN orders.price IS 'x'", ["changed comment on COLUMN orders.price"]),
        ("COMMENT ON COLUMN orders.note IS 'x'", ["extra comment on COLUMN orders.note"]),
        ("COMMENT ON VIEW dear IS 'x'", ["changed comment on VIEW dear"]),
    ],
)  # fmt: skip
def test_each_change_is_found_and_nothing_else(
    database: psycopg.Connection[Any], schema: str, statement: str, expected: list[str]
) -> None:
    change(database, schema, statement)

    found = find_drift(database, schema, DOMAIN)

    assert sorted(f"{one.change} {one.place}" for one in found) == expected


def test_a_difference_says_what_is_wanted_and_what_there_is(
    database: psycopg.Connection[Any], schema: str
) -> None:
    change(database, schema, "ALTER TABLE orders ALTER client TYPE varchar(9)")
    change(database, schema, "DROP INDEX orders_by_client")

    client, index = find_drift(database, schema, DOMAIN)

    assert client == Difference(
        "column", "orders", "client", 'text COLLATE "C" NOT NULL', "character varying(9) NOT NULL"
    )
    assert (index.wanted, index.found) == ("USING btree (client) WHERE (note IS NULL)", None)


def test_nothing_is_left_behind_and_nobody_waits(
    database: psycopg.Connection[Any], schema: str, settings: Settings
) -> None:
    with psycopg.connect(settings.postgres.dsn) as other:
        other.execute(f"LOCK TABLE {schema}.orders IN SHARE ROW EXCLUSIVE MODE")
        database.execute("SET lock_timeout = '5s'")

        assert find_drift(database, schema, DOMAIN) == []

    left = "SELECT FROM pg_namespace WHERE starts_with(nspname, 'memferry_fresh')"
    assert database.execute(left).fetchall() == []
    assert database.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_ddl_that_postgresql_does_not_take_is_refused(
    database: psycopg.Connection[Any], schema: str
) -> None:
    with pytest.raises(DdlRefused, match='relation "nothing" does not exist'):
        find_drift(database, schema, Domain("wrong", (), "CREATE VIEW v AS SELECT FROM nothing"))


def test_the_shipped_tables_are_as_their_ddl_says(
    database: psycopg.Connection[Any], settings: Settings
) -> None:
    trading = msgspec.structs.replace(settings, projection=f"{settings.projection}_t")
    establish(database, trading, TRADING, 1)

    assert find_drift(database, trading.projection, TRADING) == []
