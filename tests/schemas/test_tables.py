"""Tables as handlers see them, and keys as people read them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from schemas.tables import MONTHS_END, Table, key_text, within_months

BARS = Table("bars", ("opened_at", "volume", "symbol"), ("symbol", "opened_at"))


def test_a_key_is_taken_from_its_columns_in_the_order_of_the_key() -> None:
    assert BARS.key_of(("now", 5, "IBM")) == ("IBM", "now")


@pytest.mark.parametrize(
    ("columns", "key"),
    [(("a", "b"), ("c",)), (("a", "b"), ()), (("a", "a"), ("a",)), ((), ("a",))],
)
def test_a_table_without_distinct_columns_that_hold_its_key_is_refused(
    columns: tuple[str, ...], key: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="table t: columns must be distinct and hold its key"):
        Table("t", columns, key)


def test_months_are_of_a_key_column() -> None:
    with pytest.raises(ValueError, match="table bars: its months must be a column of its key"):
        Table("bars", BARS.columns, BARS.key, months="volume")


def test_a_table_by_month_leaves_room_for_the_months_in_its_name() -> None:
    Table("b" * 55, BARS.columns, BARS.key, months="opened_at")

    with pytest.raises(ValueError, match="months leave a name 55 characters"):
        Table("b" * 56, BARS.columns, BARS.key, months="opened_at")


def test_the_months_end_where_they_end_wherever_the_clock_hangs() -> None:
    east = MONTHS_END.astimezone(timezone(timedelta(hours=9)))

    assert not within_months(east)
    assert within_months(east - timedelta(microseconds=1))
    assert not within_months(datetime(1899, 12, 31, 23, tzinfo=UTC))


def test_a_key_has_the_same_text_wherever_it_was_read() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    elsewhere = at.astimezone(timezone(timedelta(hours=9)))

    assert key_text(("IBM", at)) == key_text(("IBM", elsewhere))
    assert key_text(("IBM", at)) == "IBM/2026-01-02T03:04:05.000006+00:00"


def test_a_key_of_one_value_is_that_value() -> None:
    assert key_text((17,)) == "17"
    assert key_text((Decimal("1.50"),)) == "1.50"


def test_equal_tables_are_one_key_of_a_dict() -> None:
    again = Table("bars", ("opened_at", "volume", "symbol"), ("symbol", "opened_at"))

    assert {BARS: 1}[again] == 1
