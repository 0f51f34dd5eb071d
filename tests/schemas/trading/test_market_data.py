from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.domain import TransitionRefused
from schemas.trading.market_data import KIND, BarReceived, evolve
from schemas.validity import EventInvalid
from tests.schemas.trading.histories import (
    VALIDATORS,
    Clock,
    amounts,
    identifiers,
    require_agreement,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9
RECEIVED = BarReceived(
    "IBM", AT, AT_NS, Decimal("10"), Decimal("12"), Decimal("9"), Decimal("11"), 100
)


@st.composite
def histories(draw: Any) -> list[BarReceived]:
    clock = Clock(draw)
    bars = []
    for _ in range(draw(st.integers(0, 8))):
        low, first, last, high = sorted(draw(st.tuples(amounts, amounts, amounts, amounts)))
        volume = draw(st.integers(0, 2**63 - 1))
        symbol = draw(identifiers)
        bars.append(BarReceived(symbol, *clock.tick(1000), first, high, low, last, volume))
    return bars


@given(histories())
def test_bars_and_rows_agree_over_every_history(history: list[BarReceived]) -> None:
    require_agreement(KIND, history)


def test_a_second_bar_of_the_same_time_is_refused() -> None:
    bar = evolve(None, RECEIVED)

    with pytest.raises(TransitionRefused, match=r"bar IBM 2026-01-02T00:00:00\+00:00 is received"):
        evolve(bar, RECEIVED)


@pytest.mark.parametrize("prices", [{"low": 0}, {"low": -1}, {"low": 11}, {"high": 10}])
def test_prices_out_of_order_are_refused(prices: dict[str, int]) -> None:
    event = replace(RECEIVED, **{name: Decimal(price) for name, price in prices.items()})

    with pytest.raises(TransitionRefused):
        evolve(None, event)


@pytest.mark.parametrize(
    "wrong",
    [{"symbol": ""}, {"symbol": "A B"}, {"symbol": "A" * 65}, {"volume": -1}, {"volume": 2**63}],
)
def test_values_that_no_column_holds_are_refused_before_memory_changes(wrong: Any) -> None:
    with pytest.raises(EventInvalid):
        VALIDATORS[BarReceived].encode(replace(RECEIVED, **wrong))


@pytest.mark.parametrize("year", [1, 1899, 2200, 9999])
def test_a_bar_that_no_month_has_a_place_for_is_refused(year: int) -> None:
    with pytest.raises(TransitionRefused, match="in no year that bars are of") as refused:
        evolve(None, replace(RECEIVED, opened_at=AT.replace(year=year)))

    assert "1900 to 2199" in refused.value.remedy
