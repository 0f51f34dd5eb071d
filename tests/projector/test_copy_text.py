from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from enum import Enum, StrEnum
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import sql

from projector.copy_text import copy_rows
from projector.sql import query
from schemas.digest import row_digest as digest_in
from schemas.tables import Row, Table

COLUMNS = ("number", "text", "amount", "at", "flag", "count", "document", "ratio")
DOCUMENT = COLUMNS.index("document")

characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.text(characters) | st.sampled_from(
    ["", "\\N", "null", "\\.", '"', '""', "\\", '\\"', "a\tb\nc\r\nd", "\b\f\v\x1b\x7f", ",",
     "]\n[", " padded ", "Ünïcödé 数字 🚢", "\u2028", "\\n", "\\u0041", "{}", "NaN", "true"]
)  # fmt: skip
exponents = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.sampled_from([0, 1]),
    st.lists(st.integers(0, 9), min_size=1, max_size=60).map(tuple),
    st.integers(-60, 60),
)
amounts = exponents | st.sampled_from(
    [Decimal(text) for text in ("1E+5", "-0", "0.00", "-1.50", "1E-28", "9" * 80)]
)
moments = st.datetimes(timezones=st.just(UTC))
int64 = st.integers(-(2**63), 2**63 - 1)
documents = st.recursive(
    st.none() | st.booleans() | int64 | texts | st.floats(-1e15, 1e15),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
).filter(lambda document: isinstance(document, dict | list))
rows = st.tuples(
    st.none() | texts,
    st.none() | amounts,
    st.none() | moments,
    st.none() | st.booleans(),
    st.none() | int64,
    st.none() | documents,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.fixture(scope="module")
def conn(stack: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.endpoints().postgres, autocommit=True) as conn:
        conn.execute("""
            CREATE TEMPORARY TABLE written (number int, text text, amount numeric, at timestamptz,
                flag boolean, count bigint, document jsonb, ratio double precision,
                memferry_op smallint, memferry_mask bigint)
            """)
        yield conn


def row_digest(row: Row) -> int:
    """Digest a row of the table's columns, or of the first of them."""
    return digest_in(Table("written", COLUMNS[: len(row)], ("number",)), row)


def written(conn: psycopg.Connection[Any], values: Sequence[Row]) -> list[Row]:
    """Return rows as they are read back."""
    conn.execute("TRUNCATE written")
    stage = sql.Identifier("written")
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    with conn.cursor().copy(query("stage_copy").format(stage=stage, columns=columns)) as copy:
        copy.write(copy_rows([(*row, 0, 0) for row in values], {DOCUMENT}))
    select = "SELECT number, text, amount, at, flag, count, document, ratio FROM written"
    return conn.cursor(binary=True).execute(select + " ORDER BY number").fetchall()


@given(content=st.lists(rows, min_size=1, max_size=20))
@example(content=[("a", Decimal("1E+5"), datetime(1, 1, 1, tzinfo=UTC), True, 0, {}, 0.1)])
@example(content=[(None,) * 7, ("\n",) + (None,) * 6, ("\\N",) + (None,) * 6])
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_written_reads_back_equal_and_with_the_same_digest(
    conn: psycopg.Connection[Any], content: list[Row]
) -> None:
    values = [(number, *row) for number, row in enumerate(content)]

    found = written(conn, values)

    assert found == values
    assert [row_digest(row) for row in found] == [row_digest(row) for row in values]


class Side(StrEnum):
    BUY = "buy"


class Mixed(str, Enum):  # noqa: UP042  (apps have them; their str() is not their value)
    BUY = "buy"


@pytest.mark.parametrize("value", [Side.BUY, Mixed.BUY])
def test_an_enumeration_of_texts_is_written_as_its_value(
    conn: psycopg.Connection[Any], value: str
) -> None:
    for text in (value, "a\nb"):  # a batch with a newline in it is written another way
        found = written(conn, [(0, value, *[None] * 6), (1, text, *[None] * 6)])

        assert found[0][1] == "buy"
        assert row_digest((value,)) == row_digest((found[0][1],))


def test_a_document_may_hold_money_and_times(conn: psycopg.Connection[Any]) -> None:
    document = {"price": Decimal("1.50"), "at": datetime(2024, 1, 1, tzinfo=UTC), "tags": ("a",)}
    row: Row = (0, None, None, None, None, None, document, None)

    (found,) = written(conn, [row])

    assert found[DOCUMENT] == {"price": "1.50", "at": "2024-01-01T00:00:00Z", "tags": ["a"]}
    assert row_digest(found) == row_digest(row)


@pytest.mark.parametrize("number", [1e16, 1.5e300, -0.0, 1.0, 1e-7, -3.602879701896397e16])
def test_a_documents_float_has_the_digest_of_what_the_database_makes_of_it(
    conn: psycopg.Connection[Any], number: float
) -> None:
    row: Row = (0, None, None, None, None, None, {"n": [number]}, None)

    (found,) = written(conn, [row])

    assert float(found[DOCUMENT]["n"][0]) == number
    assert row_digest(found) == row_digest(row)


def test_money_has_another_digest_when_any_digit_differs(conn: psycopg.Connection[Any]) -> None:
    amount = Decimal("12345678901234567890.12345678901234567890")
    rest: Row = (None,) * 5

    (found,) = written(conn, [(0, None, amount.next_plus(Context(prec=60)), *rest)])

    assert row_digest(found) != row_digest((0, None, amount, *rest))


def test_a_nul_is_refused_by_the_database_and_not_dropped(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.DataError):
        written(conn, [(0, "a\0b", *[None] * 6)])


@pytest.mark.parametrize("value", [object(), "\ud800", 1j])
def test_what_no_column_takes_is_an_error(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        copy_rows([(value,)], ())


def test_no_rows_are_no_bytes() -> None:
    assert copy_rows([], ()) == b""
