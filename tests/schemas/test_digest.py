"""Digests of rows: equal for equal rows wherever they were read, and for no others."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digest import MODULUS, row_digest, sum_digests
from schemas.tables import Row

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), decimals)


def digest(*row: Any) -> int:
    return row_digest("accounts", row)


def test_the_digest_of_a_row_does_not_change_between_versions() -> None:
    row = ("a", 1, Decimal("1.50"), AT, None, {"b": [1, "x"], "a": True})

    assert digest(*row) == 67036554881393964323467377961496276549


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.5"), Decimal("1.500000")),
        (Decimal("0"), Decimal("-0.00")),
        (Decimal("1E+3"), Decimal("1000")),
        (Decimal("1E-7"), Decimal("0.00000010")),
        (AT, AT.astimezone(timezone(timedelta(hours=-5)))),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ((1, 2), [1, 2]),
    ],
)
def test_what_memory_and_postgresql_write_differently_is_equal(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.5"), Decimal("1.51")),
        (Decimal("1"), 1),
        (Decimal("1"), "1"),
        (True, 1),
        (None, ""),
        (AT, AT + timedelta(microseconds=1)),
        ({"a": 1}, {"a": 2}),
        ([1, 2], [2, 1]),
        (
            Decimal("1234567890123.000000000000000001"),
            Decimal("1234567890123.000000000000000002"),
        ),
    ],
)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


@given(values, values)
def test_rows_are_equal_where_their_digests_are(one: Any, other: Any) -> None:
    same = type(one) is type(other) and one == other

    assert (digest(one) == digest(other)) is same


def test_the_table_and_the_place_in_the_row_are_part_of_the_digest() -> None:
    assert row_digest("accounts", ("a", "b")) != row_digest("readings", ("a", "b"))
    assert digest("a", "b") != digest("b", "a")
    assert digest("ab", "") != digest("a", "b")


@given(st.lists(st.integers(0, MODULUS - 1)), st.randoms(use_true_random=False))
def test_the_digest_of_a_set_does_not_depend_on_its_order(digests: list[int], random: Any) -> None:
    shuffled = random.sample(digests, len(digests))

    assert sum_digests(shuffled) == sum_digests(digests)


@given(st.lists(st.integers(0, MODULUS - 1)), st.lists(st.integers(0, MODULUS - 1)))
def test_the_digest_of_two_sets_is_the_sum_of_theirs(one: list[int], other: list[int]) -> None:
    both = sum_digests([sum_digests(one), sum_digests(other)])

    assert both == sum_digests(one + other)
    assert 0 <= both < MODULUS


@pytest.mark.parametrize(
    "row",
    [
        ("日本 \"'\\", 2**63 - 1, Decimal("-12345678901234567890.000000000000000001"), AT, True),
        ("", -1, Decimal("0.00"), datetime(1, 1, 1, tzinfo=UTC), False),
        (None, None, None, None, None),
    ],
)
def test_a_row_read_back_from_postgresql_has_the_digest_it_had_in_memory(
    row: Row, database: psycopg.Connection[Any]
) -> None:
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
        database.execute(
            "CREATE TEMP TABLE kept (a text, b bigint, c numeric(60, 30), d timestamptz, e boolean)"
        )
        database.execute("INSERT INTO kept VALUES (%s, %s, %s, %s, %s)", row)

        back = database.execute("SELECT * FROM kept").fetchone()

    assert back is not None
    assert row_digest("kept", back) == row_digest("kept", row)
