"""What an event says of the whole must follow from the row before it and the event's own step."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, TypeAlias

_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_EIGHT_PLACES = Decimal("1E-8")

Before: TypeAlias = Mapping[str, Any]
"""The row before the event, column → JSON value; empty where there is none."""
Sums: TypeAlias = list[tuple[str, Decimal]]
"""Members of the data, each with the value that it must have."""


def _fill(before: Before, data: Mapping[str, Any]) -> Sums:
    quantity, price = Decimal(data["fill_quantity"]), Decimal(data["fill_price"])
    filled = _EXACT.add(Decimal(before["filled_quantity"]), quantity)
    value = _EXACT.add(Decimal(before["filled_value"]), _EXACT.multiply(quantity, price))
    return [
        ("filled_quantity", filled),
        ("filled_value", value),
        ("average_price", _EXACT.quantize(_EXACT.divide(value, filled), _EIGHT_PLACES)),
        ("fees", _EXACT.add(Decimal(before["fees"]), Decimal(data["fill_fee"]))),
    ]


def _last_fill(before: Before, data: Mapping[str, Any]) -> Sums:
    return [*_fill(before, data), ("filled_quantity", Decimal(before["quantity"]))]


def _exit(before: Before, data: Mapping[str, Any]) -> Sums:
    fees = _EXACT.add(Decimal(before["fees"]), Decimal(data["exit_fee"]))
    brought = _EXACT.multiply(Decimal(data["exit_price"]), Decimal(before["filled_quantity"]))
    gain = _EXACT.subtract(brought, Decimal(before["filled_value"]))
    if before["side"] == "sell":
        gain = gain.copy_negate()
    return [("fees", fees), ("realised_profit", _EXACT.subtract(gain, fees))]


def _worth(before: Before, data: Mapping[str, Any]) -> Sums:
    del before  # a valuation stands for itself
    worth = Decimal(data["cash"])
    for held in data["positions"]:
        value = _EXACT.multiply(Decimal(held["quantity"]), Decimal(held["market_price"]))
        worth = _EXACT.add(worth, value)
    return [("equity", worth)]


SUMS: dict[str, Callable[[Before, Mapping[str, Any]], Sums]] = {
    "trading.trade.partially_filled.v1": _fill,
    "trading.trade.executed.v1": _last_fill,
    "trading.trade.closed.v1": _exit,
    "trading.portfolio.taken.v1": _worth,
    "trading.portfolio.snapshotted.v1": _worth,
}
"""Event type → members of its data that can be worked out; raises KeyError, ValueError,
ArithmeticError or TypeError where the data is not what it should be."""


def wrong_sums(event_type: str, before: Before, data: Mapping[str, Any]) -> list[str]:
    """Name each member that does not follow, with what does."""
    sums = SUMS.get(event_type)
    if sums is None:
        return []
    return [
        f"{name} is {data[name]}, the row before and the event's step make {value}"
        for name, value in sums(before, data)
        if Decimal(data[name]) != value
    ]
