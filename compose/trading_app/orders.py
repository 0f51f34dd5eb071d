"""Orders of the app's clients: checked, recorded at the desk, answered once they are durable."""

from collections import OrderedDict
from datetime import datetime
from decimal import Decimal

import msgspec

from compose.trading_app.acknowledgement import Acknowledgement
from compose.trading_app.desk import Desk
from eventlog import Receipt
from schemas.errors import FerryError
from schemas.trading.accounts import account_of
from schemas.trading.trades import Side, Trade, TradeOpened
from schemas.trading.values import Identifier

RECEIPTS_KEPT = 4_096
_MOST = 1_000_000
_CENT = Decimal("0.01")


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client wants bought or sold, at the limit price or better."""

    strategy_id: Identifier
    symbol: Identifier
    side: Side
    quantity: Decimal
    limit_price: Decimal


class Placed(msgspec.Struct, frozen=True):
    """An order that is a trade now. Without the shim it has no place in a log."""

    trade: Trade
    stream: str
    seq: int | None
    event_id: str | None


class OrderInvalid(FerryError):
    """An order that nobody could place."""


class OrderRefused(FerryError):
    """An order that the desk's present state does not allow."""


class Receipts:
    """The receipts given out lately, by event id."""

    def __init__(self) -> None:
        self._receipts: OrderedDict[str, Receipt] = OrderedDict()

    def keep(self, receipt: Receipt) -> None:
        """Remember one, and forget the oldest where there are too many."""
        self._receipts[receipt.event_id] = receipt
        if len(self._receipts) > RECEIPTS_KEPT:
            self._receipts.popitem(last=False)

    def get(self, event_id: str) -> Receipt | None:
        """Return the receipt of an event, None where it is not kept."""
        return self._receipts.get(event_id)


class OrderEntry:
    """Opens trades for clients; runs in the event loop's thread, as trading does."""

    def __init__(self, desk: Desk) -> None:
        self.receipts = Receipts()
        self.acknowledgement: Acknowledgement | None = None
        self._desk = desk

    async def place(self, order: Order) -> Placed:
        """Open a trade; return once it is durable.

        Raises: OrderInvalid, OrderRefused, and once attached all that the shim raises.
        """
        desk, recording = self._desk, self._desk.recording
        await recording.until_open()
        # From here to the record nothing else runs in this loop: what is checked holds.
        at = self._require(order)
        trade_id = desk.book.next_id()
        opened = TradeOpened(
            trade_id, order.strategy_id, order.symbol, order.side, order.quantity,
            order.limit_price, *at,
        )  # fmt: skip
        recording.record([opened])
        trade = desk.book.trades[trade_id]
        recorded = recording.take_recorded()
        if not recorded:
            return Placed(trade, f"trade/{trade_id}", None, None)
        receipt = recorded[-1].receipt
        if self.acknowledgement is not None:
            await self.acknowledgement.add(recorded)
        await receipt.until_durable()
        self.receipts.keep(receipt)
        return Placed(trade, receipt.stream, receipt.seq, receipt.event_id)

    def _require(self, order: Order) -> tuple[datetime, int]:
        """Return the time of an order: that of its symbol's newest bar."""
        desk = self._desk
        _require_amounts(order)
        bars = desk.market.rings.get(order.symbol)
        if not bars:
            raise OrderInvalid(f"no price is known for {order.symbol}", remedy="trade another")
        if desk.strategies.status(order.strategy_id) is None:
            raise OrderInvalid(
                f"there is no strategy {order.strategy_id}", remedy="see GET /state/strategy"
            )
        if desk.book.live_trade(order.strategy_id, order.symbol) is not None:
            raise OrderRefused(
                f"{order.strategy_id} has a trade in {order.symbol} going on",
                remedy="wait until it is closed, or trade another symbol",
            )
        available = desk.book.available(account_of(order.symbol))
        price = order.quantity * order.limit_price
        if available < price:
            raise OrderRefused(
                f"account {account_of(order.symbol)} has {available}, the order needs {price}",
                remedy="order less",
            )
        return bars[-1].opened_at, bars[-1].opened_at_ns


def _require_amounts(order: Order) -> None:
    quantity, price = order.quantity, order.limit_price
    if not quantity.is_finite() or not 0 < quantity <= _MOST or quantity % 1:
        raise OrderInvalid(
            f"quantity is {quantity:.20}, not whole shares from 1 to {_MOST}", remedy="say how many"
        )
    if not price.is_finite() or not 0 < price <= _MOST or price % _CENT:
        raise OrderInvalid(
            f"limit_price is {price:.20}, not cents from 0.01 to {_MOST}", remedy="give a price"
        )
