"""What must hold of market data."""

from schemas.rules import Check, InOrder, Measured, Precision, Range, Rule, Timed, Wrong
from schemas.trading.market_data import Bar

PRICE_PLACES = 8
"""No market quotes a price finer."""
_PRICES = ("open", "high", "low", "close")


def _low_is_lowest(bar: Bar) -> Wrong | None:
    least = min(bar.open, bar.high, bar.close)
    return None if bar.low <= least else (f"low {bar.low}", f"at most {least}")


def _high_is_highest(bar: Bar) -> Wrong | None:
    most = max(bar.open, bar.low, bar.close)
    return None if bar.high >= most else (f"high {bar.high}", f"at least {most}")


RULES: tuple[Rule, ...] = (
    *(Range("market_data", name, above=0) for name in _PRICES),
    *(Precision("market_data", name, places=PRICE_PLACES) for name in _PRICES),
    InOrder("market_data", "opened_at_ns"),
    Check("low_is_lowest", "market_data", "the low is not the lowest price", _low_is_lowest),
    Check("high_is_highest", "market_data", "the high is not the highest price", _high_is_highest),
    *(Measured("market_data", name, group_by="symbol") for name in (*_PRICES, "volume")),
    Timed("market_data", "opened_at", per="symbol"),
)
