"""Digests of rows: equal for equal rows wherever they were read, and for no others."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digest import (
    BUCKETS,
    MODULUS,
    bucket_of,
    digest_of,
    row_digest,
    shown,
    sum_digests,
    value_text,
)
from schemas.tables import Row, Table

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)
ZONES = [
    UTC,
    ZoneInfo("UTC"),
    ZoneInfo("Etc/UTC"),
    ZoneInfo("Asia/Tokyo"),
    timezone(timedelta(hours=-5)),
]
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), decimals)


def table_of(row: Row) -> Table:
    """Return a table of as many columns, the first its key."""
    return Table("accounts", tuple(f"c{place}" for place in range(len(row))), ("c0",))


def digest(*row: Any) -> int:
    return row_digest(table_of(row), row)


def test_the_digest_of_a_row_does_not_change_between_versions() -> None:
    row = ("a", 1, Decimal("1.50"), AT, None, {"b": [1, "x"], "a": True})

    assert digest(*row) == 278324377171337937966705300637293192975


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
        (Decimal("1"), "1"),
        (Decimal("1"), Decimal("10")),
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
    # A number is the same in a column of whole ones and in one of others.
    same = _class_of(one) is _class_of(other) and one == other

    assert (digest(one) == digest(other)) is same


def _class_of(value: Any) -> type:
    return Decimal if type(value) is int else type(value)


def test_the_place_in_the_row_is_part_of_the_digest() -> None:
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
    assert digest(*back) == digest(*row)


@given(values, values, values)
def test_a_row_that_changed_stays_in_its_bucket(key: Any, one: Any, other: Any) -> None:
    table = table_of((key, one))

    assert bucket_of(table, (key, one)) == bucket_of(table, (key, other))
    assert 0 <= bucket_of(table, (key, one)) < BUCKETS


@given(st.lists(values, min_size=1, max_size=6))
def test_a_row_is_digested_as_the_texts_of_its_values_say(row: list[Any]) -> None:
    """What is written at once, by the types of a row's values, is what each is written as."""
    text = ",".join(map(value_text, row))
    high, low = struct.unpack_from(">qq", sha256(text.encode()).digest())

    assert digest_of(table_of(tuple(row)))(tuple(row))[1] == (high << 64) + low


@given(st.datetimes(timezones=st.sampled_from(ZONES)))
def test_a_time_is_written_alike_in_whatever_zone(at: datetime) -> None:
    micros = (at.astimezone(UTC) - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert value_text(at) == str(micros)
    assert digest(at) == digest(at.astimezone(UTC))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("a", "a"),
        ("3:abc", "3:abc"),
        ("", ""),
        (None, "null"),
        (Decimal("1.50"), "1.5"),
        (AT, AT.isoformat()),
        (AT.replace(tzinfo=None), AT.replace(tzinfo=None).isoformat()),
        (AT.date(), "2026-01-02"),
        (-0.5, "-0.5"),
        (True, "true"),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_a_text_is_shown_as_people_read_it(value: Any, read: str) -> None:
    assert shown(value_text(value), value) == read


def test_a_text_of_another_type_than_its_columns_is_shown_as_it_is() -> None:
    assert shown("x", AT) == "x"
    assert shown("9" * 40, AT) == "9" * 40
