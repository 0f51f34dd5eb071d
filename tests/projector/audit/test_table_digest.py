"""Python and PostgreSQL digest a row alike, whatever its values are."""

import datetime
import enum
import secrets
import struct
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.enum import EnumInfo, register_enum

from compose.stack import Stack
from projector.audit.table_digest import column_types, row_expressions
from schemas.digest import digest_of
from schemas.tables import Row, Table

COLUMNS = {
    "id": "bigint PRIMARY KEY",
    "name": "text NOT NULL",
    "short": "varchar(200)",
    "side": "side",
    "token": "uuid",
    "tiny": "smallint",
    "count": "integer NOT NULL",
    "big": "bigint",
    "done": "boolean",
    "amount": "numeric",
    "price": "numeric(60, 20) NOT NULL",
    "at": "timestamptz",
    "known_at": "timestamptz NOT NULL",
    "local_at": "timestamp",
    "day": "date",
    "ratio": "double precision",
    "half": "real",
    "raw": "bytea",
}
TABLE = Table("rows", tuple(COLUMNS), ("id",))
BY_MANY = Table("rows", tuple(COLUMNS), ("name", "known_at", "id"))


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
DECIMALS = st.one_of(
    st.decimals(-(10**38), 10**38, allow_nan=False, places=20),
    st.sampled_from(
        [Decimal(t) for t in ("0", "-0", "-0.00", "1E+3", "1E-7", "100", "1.50", "10")]
    ),
)
ZONES = st.sampled_from(
    [datetime.UTC, ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")]
)
TIMES = st.datetimes(
    datetime.datetime(2, 1, 1),  # noqa: DTZ001
    datetime.datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=ZONES,
)
SINGLES = st.floats(width=32)
ROWS = st.tuples(
    TEXTS,
    st.none() | TEXTS,
    st.none() | st.sampled_from(["buy", "sell"]),
    st.none() | st.uuids(),
    st.none() | st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | DECIMALS,
    DECIMALS,
    st.none() | TIMES,
    TIMES,
    st.none() | st.datetimes(),
    st.none() | st.dates(),
    st.none() | st.floats(),
    st.none() | SINGLES,
    st.none() | st.binary(max_size=20),
)


@pytest.fixture(scope="module")
def schema(stack: Stack) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    endpoints = stack.endpoints()
    assert endpoints is not None
    name = f"digest_{secrets.token_hex(5)}"
    columns = ", ".join(f"{column} {form}" for column, form in COLUMNS.items())
    with psycopg.connect(endpoints.postgres, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {name}")
        conn.execute(f"SET search_path = {name}")
        conn.execute("CREATE TYPE side AS ENUM ('buy', 'sell')")
        found = EnumInfo.fetch(conn, "side")
        assert found is not None
        # Unless psycopg knows the type, it reads it as bytes in the binary form.
        register_enum(found, conn, Side, mapping={one: one.value for one in Side})
        conn.execute(f"CREATE TABLE rows ({columns})")
        yield conn, name
        conn.execute(f"DROP SCHEMA {name} CASCADE")


@given(st.lists(ROWS, min_size=1, max_size=8), st.sampled_from(["UTC", "Asia/Tokyo"]))
@settings(max_examples=40, deadline=None, database=None, derandomize=True,
          suppress_health_check=list(HealthCheck))  # fmt: skip
def test_python_and_postgresql_digest_rows_alike(
    schema: tuple[psycopg.Connection[Any], str], given_rows: list[Row], zone: str
) -> None:
    conn, name = schema
    rows = [(number, *row) for number, row in enumerate(given_rows)]
    conn.execute("TRUNCATE rows")
    conn.execute(f"SET TimeZone = '{zone}'")
    places = ", ".join(["%s"] * len(COLUMNS))
    with conn.cursor() as cursor:
        cursor.executemany(f"INSERT INTO rows VALUES ({places})", rows)
    types = column_types(conn, name, "rows")
    for table in (TABLE, BY_MANY):
        digest = digest_of(table)
        held = [digest(row) for row in rows]

        digested = digested_by_postgresql(conn, table, types)

        assert digested == held
        with conn.cursor(binary=True) as cursor:  # as text, singles are cut to fewer digits
            read = cursor.execute("SELECT * FROM rows ORDER BY id").fetchall()
        assert [digest(row) for row in read] == held


def digested_by_postgresql(
    conn: psycopg.Connection[Any], table: Table, types: Any
) -> list[tuple[int, int]]:
    expressions = row_expressions(table, types)
    assert expressions is not None
    found = conn.execute(
        sql.SQL("SELECT {}, {} FROM rows ORDER BY id").format(expressions.bucket, expressions.hash)
    )
    halves = [(bucket, *struct.unpack_from(">qq", hashed)) for bucket, hashed in found]
    return [(bucket, (high << 64) + low) for bucket, high, low in halves]


def test_what_has_the_same_value_in_memory_and_in_its_column_is_digested_alike(
    schema: tuple[psycopg.Connection[Any], str],
) -> None:
    """Enumerations, texts of other classes and ids are written as what the column gives back."""

    class Name(str):
        __slots__ = ()

    digest = digest_of(Table("t", ("a", "b", "c"), ("a",)))
    token = uuid.uuid4()

    assert digest((Name("x"), Side.BUY, token)) == digest(("x", "buy", str(token)))


def test_a_column_that_has_no_text_of_its_own_has_no_expression(
    schema: tuple[psycopg.Connection[Any], str],
) -> None:
    conn, name = schema
    conn.execute("CREATE TABLE IF NOT EXISTS documents (id bigint PRIMARY KEY, document jsonb)")
    table = Table("documents", ("id", "document"), ("id",))

    assert row_expressions(table, column_types(conn, name, "documents")) is None
    gone = Table("rows", ("id", "gone"), ("id",))
    assert row_expressions(gone, column_types(conn, name, "rows")) is None
