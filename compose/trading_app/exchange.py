"""A simulated exchange: limits that may never be reached, fills in parts, fees."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from compose.trading_app.chance import DRAWS, chance
from schemas.trading.market_data import Bar, BarReceived
from schemas.trading.trades import Side, Trade

_CENT = Decimal("0.01")
_FEE_RATE = Decimal("0.0005")
_LIMIT_SPREAD = Decimal("0.03")
_WHOLE_FILL_DRAWS = 6_000
_WHOLE_SHARES = Decimal(1)


class Fill(NamedTuple):
    """What the exchange did of an order in one bar."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


class Exchange:
    """Decides fills from the bar and the seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def limit(self, side: Side, close: Decimal, trade_id: str) -> Decimal:
        """Return a limit price within 1.5 % of the close, on either side of it."""
        share = Decimal(chance(self._seed, "limit", trade_id)) / DRAWS - Decimal("0.5")
        offset = share * _LIMIT_SPREAD if side == "buy" else -share * _LIMIT_SPREAD
        return max(_cents(close * (1 + offset)), _CENT)

    def fill(self, trade: Trade, bar: Bar | BarReceived) -> Fill | None:
        """Return what a bar fills of a trade, None where its limit was not reached."""
        if trade.side == "buy":
            if bar.low > trade.limit_price:
                return None
            price = min(bar.open, trade.limit_price)
        else:
            if bar.high < trade.limit_price:
                return None
            price = max(bar.open, trade.limit_price)
        quantity = trade.quantity - trade.filled_quantity
        draw = chance(self._seed, "fill", trade.trade_id, bar.opened_at_ns)
        if draw >= _WHOLE_FILL_DRAWS and quantity > 1:
            quantity = max((quantity * draw / DRAWS / 2).quantize(_WHOLE_SHARES), _WHOLE_SHARES)
        return Fill(quantity, price, fee_of(quantity, price))


def fee_of(quantity: Decimal, price: Decimal) -> Decimal:
    """Return the fee of a fill or an exit, to the cent."""
    return _cents(quantity * price * _FEE_RATE)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_EVEN)
