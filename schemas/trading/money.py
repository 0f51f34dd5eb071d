"""Exact arithmetic for money and quantities, the same in every thread and process.

The interpreter's decimal context belongs to the app and may be set to anything; an event that the
app recorded must be accepted again when the log is folded elsewhere.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import NamedTuple, Protocol

ZERO = Decimal(0)
_CENTI_MICRO = Decimal("1E-8")
_CONTEXT = Context(
    prec=38, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation, Overflow]
)

add = _CONTEXT.add
subtract = _CONTEXT.subtract
multiply = _CONTEXT.multiply


class Filled(Protocol):
    """What this arithmetic reads of a trade."""

    @property
    def side(self) -> str: ...  # noqa: D102
    @property
    def filled_quantity(self) -> Decimal: ...  # noqa: D102
    @property
    def filled_value(self) -> Decimal: ...  # noqa: D102
    @property
    def fees(self) -> Decimal: ...  # noqa: D102


class Totals(NamedTuple):
    """What all fills of a trade come to; the fields of a fill's event, in their order."""

    filled_quantity: Decimal
    filled_value: Decimal
    average_price: Decimal
    fees: Decimal


def average(value: Decimal, quantity: Decimal) -> Decimal:
    """Return value divided by quantity to eight decimal places, half to even."""
    return _CONTEXT.quantize(_CONTEXT.divide(value, quantity), _CENTI_MICRO)


def after_fill(trade: Filled, quantity: Decimal, price: Decimal, fee: Decimal) -> Totals:
    """Return what a trade's fills come to after one more."""
    filled = add(trade.filled_quantity, quantity)
    value = add(trade.filled_value, multiply(quantity, price))
    return Totals(filled, value, average(value, filled), add(trade.fees, fee))


def profit(trade: Filled, exit_price: Decimal, fees: Decimal) -> Decimal:
    """Return a trade's profit when all it filled leaves at a price; `fees` are all of its fees."""
    gain = subtract(multiply(exit_price, trade.filled_quantity), trade.filled_value)
    return subtract(gain if trade.side == "buy" else gain.copy_negate(), fees)
