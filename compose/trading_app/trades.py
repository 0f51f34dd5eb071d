"""The trades, and what follows from them alone: cash, and which are alive for whom."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from compose.trading_app.exchange import Fill, fee_of
from schemas.trading import money
from schemas.trading.accounts import account_of
from schemas.trading.trades import (
    Side,
    Trade,
    TradeCancelled,
    TradeClosed,
    TradeEvent,
    TradeExecuted,
    TradeOpened,
    TradePartiallyFilled,
)

INITIAL_CASH = Decimal(1_000_000)
_PREFIX = "T-"


def cash_flow(trade: Trade) -> Decimal:
    """Return what a trade has brought its account so far; negative where it has cost."""
    if trade.realised_profit is not None:
        return trade.realised_profit
    paid = trade.filled_value if trade.side == "buy" else -trade.filled_value
    return -paid - trade.fees


class TradeBook:
    """Trades by id. Strategies have at most one live trade a symbol."""

    def __init__(self) -> None:
        self.trades: dict[str, Trade] = {}
        self.live: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """Symbol → strategy → trade: those not closed, nor cancelled with nothing filled."""
        self.cash: defaultdict[str, Decimal] = defaultdict(lambda: INITIAL_CASH)
        """Account → cash."""
        self._symbols: defaultdict[str, set[str]] = defaultdict(set)
        self._last_number = 0

    def next_id(self) -> str:
        """Return an id that no trade has had."""
        self._last_number += 1
        return f"{_PREFIX}{self._last_number}"

    def live_trade(self, strategy_id: str, symbol: str) -> Trade | None:
        """Return the trade that a strategy has going on in a symbol."""
        trade_id = self.live[symbol].get(strategy_id)
        return None if trade_id is None else self.trades[trade_id]

    def live_trades(self, symbol: str) -> list[Trade]:
        """Return all trades going on in a symbol."""
        return [self.trades[trade_id] for trade_id in self.live[symbol].values()]

    def available(self, account: str) -> Decimal:
        """Return the cash that is free for new orders.

        Orders under way hold their whole price, what is owed holds twice what it brought.
        """
        free = self.cash[account]
        for symbol in self._symbols[account]:
            for trade in self.live_trades(symbol):
                if trade.status in {"open", "partially_filled"}:
                    free -= (trade.quantity - trade.filled_quantity) * trade.limit_price
                if trade.side == "sell":
                    free -= 2 * trade.filled_value
        return free

    def positions(self, account: str) -> Iterator[tuple[str, Decimal, Decimal]]:
        """Give what an account holds: symbol, quantity (negative: owed), average price."""
        for symbol in sorted(self._symbols[account]):
            held = [trade for trade in self.live_trades(symbol) if trade.filled_quantity]
            if held:
                gross = sum(t.filled_quantity for t in held)
                net = sum(
                    t.filled_quantity if t.side == "buy" else -t.filled_quantity for t in held
                )
                value = sum(t.filled_value for t in held)
                yield symbol, Decimal(net), money.average(Decimal(value), Decimal(gross))

    def fill(self, trade: Trade, fill: Fill, at: datetime, at_ns: int) -> TradeEvent:
        """Return the event of one more fill."""
        totals = money.after_fill(trade, *fill)
        last = totals.filled_quantity == trade.quantity
        event = TradeExecuted if last else TradePartiallyFilled
        return event(trade.trade_id, *fill, *totals, at, at_ns)

    def close(self, trade: Trade, price: Decimal, at: datetime, at_ns: int) -> TradeClosed:
        """Return the event of an exit at a price."""
        fee = fee_of(trade.filled_quantity, price)
        fees = money.add(trade.fees, fee)
        profit = money.profit(trade, price, fees)
        return TradeClosed(trade.trade_id, price, fee, fees, profit, at, at_ns)

    def follow(self, event: TradeEvent) -> None:
        """Bring what follows from the trades up to date after a recorded event."""
        trade = self.trades[event.trade_id]
        account = account_of(trade.symbol)
        match event:
            case TradePartiallyFilled() | TradeExecuted():
                paid = money.multiply(event.fill_quantity, event.fill_price)
                self._pay(account, trade.side, paid, event.fill_fee)
            case TradeOpened():
                self._enter(trade)
            case TradeCancelled():
                if not trade.filled_quantity:
                    del self.live[trade.symbol][trade.strategy_id]
            case TradeClosed():
                brought = money.multiply(event.exit_price, trade.filled_quantity)
                self._pay(account, trade.side, -brought, event.exit_fee)
                del self.live[trade.symbol][trade.strategy_id]

    def rebuild(self) -> None:
        """Derive everything from the trades."""
        self.live.clear()
        self.cash.clear()
        self._symbols.clear()
        for trade in self.trades.values():
            self.cash[account_of(trade.symbol)] += cash_flow(trade)
            ended = trade.status == "closed" or (
                trade.status == "cancelled" and not trade.filled_quantity
            )
            if not ended:
                self._enter(trade)
        numbers = (int(trade_id.removeprefix(_PREFIX)) for trade_id in self.trades)
        self._last_number = max(numbers, default=0)

    def _enter(self, trade: Trade) -> None:
        self.live[trade.symbol][trade.strategy_id] = trade.trade_id
        self._symbols[account_of(trade.symbol)].add(trade.symbol)

    def _pay(self, account: str, side: Side, paid: Decimal, fee: Decimal) -> None:
        change = -paid if side == "buy" else paid
        self.cash[account] = money.subtract(money.add(self.cash[account], change), fee)
