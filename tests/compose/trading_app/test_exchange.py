from datetime import UTC, datetime
from decimal import Decimal

import pytest

from compose.trading_app.chance import DRAWS, chance
from compose.trading_app.exchange import Exchange, fee_of
from schemas.trading.market_data import BarReceived
from schemas.trading.trades import Side, Trade, TradeOpened, evolve

AT = datetime(2026, 1, 2, tzinfo=UTC)
OPEN, HIGH, LOW, CLOSE = (Decimal(price) for price in (100, 110, 90, 105))


def order(side: Side, limit: str, trade_id: str = "T-1") -> Trade:
    return evolve(None, TradeOpened(trade_id, "S", "IBM", side, Decimal(10), Decimal(limit), AT, 0))


def bar(day: int = 0) -> BarReceived:
    return BarReceived("IBM", AT, day, OPEN, HIGH, LOW, CLOSE, 1)


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        ("buy", "89.99", None),
        ("buy", "95", "95"),
        ("buy", "120", "100"),
        ("sell", "110.01", None),
        ("sell", "107", "107"),
        ("sell", "80", "100"),
    ],
)
def test_a_fill_is_at_the_limit_or_better_and_only_where_the_bar_reached_it(
    side: Side, limit: str, price: str | None
) -> None:
    fill = Exchange(seed=1).fill(order(side, limit), bar())

    assert (fill and str(fill.price)) == price


def test_some_fills_are_whole_and_some_are_parts() -> None:
    exchange = Exchange(seed=1)

    fills = [exchange.fill(order("buy", "100"), bar(day)) for day in range(100)]

    quantities = {fill.quantity for fill in fills if fill}
    assert Decimal(10) in quantities
    assert min(quantities) >= 1
    assert len(quantities) > 1
    assert all(fill and fill.fee == fee_of(fill.quantity, fill.price) for fill in fills)


def test_a_limit_is_a_price_in_cents_near_the_close() -> None:
    exchange = Exchange(seed=1)

    limits = {exchange.limit("buy", CLOSE, f"T-{number}") for number in range(100)}

    assert len(limits) > 50
    assert all(abs(limit / CLOSE - 1) <= Decimal("0.0151") for limit in limits)
    assert all(limit == limit.quantize(Decimal("0.01")) for limit in limits)
    assert exchange.limit("buy", Decimal("0.001"), "T-1") > 0


def test_chance_depends_on_the_seed_and_the_words_alone() -> None:
    draws = [chance(1, "word", number) for number in range(1000)]

    assert draws == [chance(1, "word", number) for number in range(1000)]
    assert draws != [chance(2, "word", number) for number in range(1000)]
    assert 0 <= min(draws) < DRAWS // 10 < DRAWS - DRAWS // 10 < max(draws) < DRAWS
