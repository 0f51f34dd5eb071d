"""What the app does with each bar: keep it, work the orders, ask the strategies, value accounts.

Everything it decides follows from memory, the bar and the seed, so it goes on after a restart from
whatever memory has.
"""

from decimal import ROUND_DOWN, Decimal
from typing import TypeAlias

from compose.trading_app.algorithms import Opinion
from compose.trading_app.chance import chance
from compose.trading_app.desk import Desk
from compose.trading_app.exchange import Exchange
from compose.trading_app.lifecycle import Lifecycle
from compose.trading_app.strategies import Plan
from compose.trading_app.tape import Tick
from schemas.trading.accounts import account_of
from schemas.trading.executions import (
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionSignalled,
    ExecutionStarted,
)
from schemas.trading.trades import Side, Trade, TradeCancelled, TradeClosed, TradeOpened

Order: TypeAlias = TradeOpened | TradeClosed

BUDGET = Decimal(100_000)
"""What a signal of full strength buys for."""
ORDER_LIFE_NS = 5 * 86_400 * 10**9
PORTFOLIO_EVERY = 5
"""Accounts are valued every so many bars of the first symbol that they trade."""
_FEED_FAILURE_DRAWS = 150
_WHOLE_SHARES = Decimal(1)


class TradingEngine:
    """Turns ticks into events at a desk."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self._desk = desk
        self._record = desk.recording.record
        self._exchange = Exchange(seed)
        self._lifecycle = Lifecycle(desk.strategies, self._record, seed)
        self._seed = seed
        self._interrupted = False

    def on_tick(self, tick: Tick) -> None:
        """Do everything that one bar gives cause to."""
        if self._interrupted:
            self._fail_unfinished(tick)
            self._interrupted = False
        self._record((tick.bar,))
        self._lifecycle.on_tick(tick)
        self._work_orders(tick)
        for plan in self._desk.strategies.plans:
            if (tick.number + plan.offset) % plan.every == 0:
                self._run(plan, tick)
        symbol = tick.bar.symbol
        if tick.number % PORTFOLIO_EVERY == 0 and symbol.partition(".")[0] == "AAPL":
            self._record((self._desk.portfolios.take(account_of(symbol), tick.at, tick.at_ns),))

    def resume(self) -> None:
        """Go on from what memory has: what was under way at the crash has failed."""
        self._desk.rebuild()
        self._interrupted = True

    def _work_orders(self, tick: Tick) -> None:
        for trade in self._desk.book.live_trades(tick.bar.symbol):
            if trade.status not in {"open", "partially_filled"}:
                continue
            fill = self._exchange.fill(trade, tick.bar)
            if fill is not None:
                self._record((self._desk.book.fill(trade, fill, tick.at, tick.at_ns),))
            elif tick.at_ns - trade.opened_at_ns > ORDER_LIFE_NS:
                self._record((TradeCancelled(trade.trade_id, tick.at, tick.at_ns),))

    def _run(self, plan: Plan, tick: Tick) -> None:
        """Ask one strategy about one bar, and do what it wants."""
        now = (tick.at, tick.at_ns)
        bar = tick.bar
        execution_id = self._desk.executions.next_id()
        self._record(
            (
                ExecutionStarted(
                    execution_id,
                    plan.strategy_id,
                    bar.symbol,
                    bar.opened_at,
                    bar.opened_at_ns,
                    *now,
                ),
            )
        )
        closes = self._desk.market.closes(bar.symbol, plan.algorithm.needs)
        error = self._feed_error(plan, tick, len(closes))
        if error:
            self._record((ExecutionFailed(execution_id, error, *now),))
            return
        opinion = plan.algorithm.decide(closes)
        trade = self._desk.book.live_trade(plan.strategy_id, bar.symbol)
        if opinion.signal == "hold" or (trade and not _calls_for_exit(trade, opinion)):
            self._finish(execution_id, opinion, None, tick)
        elif trade:
            close = self._desk.book.close(trade, bar.close, *now)
            self._finish(execution_id, opinion, close, tick)
        else:
            self._open(execution_id, plan, opinion, tick)

    def _open(self, execution_id: str, plan: Plan, opinion: Opinion, tick: Tick) -> None:
        symbol, close = tick.bar.symbol, tick.bar.close
        quantity = (BUDGET * opinion.strength / close).quantize(_WHOLE_SHARES, ROUND_DOWN)
        quantity = max(quantity, _WHOLE_SHARES)
        account = account_of(symbol)
        available = self._desk.book.available(account)
        if available < quantity * close:
            now = (tick.at, tick.at_ns)
            error = f"account {account} has {available}, the order needs {quantity * close}"
            self._record(
                (
                    ExecutionSignalled(execution_id, *opinion, None, *now),
                    ExecutionFailed(execution_id, error, *now),
                )
            )
            return
        side: Side = "buy" if opinion.signal == "buy" else "sell"
        trade_id = self._desk.book.next_id()
        limit = self._exchange.limit(side, close, trade_id)
        order = TradeOpened(
            trade_id, plan.strategy_id, symbol, side, quantity, limit, tick.at, tick.at_ns
        )
        self._finish(execution_id, opinion, order, tick)

    def _finish(self, execution_id: str, opinion: Opinion, order: Order | None, tick: Tick) -> None:
        """Record a signal, what it led to, and the end of the execution, as one unit."""
        now = (tick.at, tick.at_ns)
        trade_id = order.trade_id if order else None
        signalled = ExecutionSignalled(execution_id, *opinion, trade_id, *now)
        completed = ExecutionCompleted(execution_id, *now)
        self._record((signalled, order, completed) if order else (signalled, completed))

    def _feed_error(self, plan: Plan, tick: Tick, bars: int) -> str:
        needs = plan.algorithm.needs
        if bars < needs:
            return f"{plan.strategy_id} needs {needs} bars, there are {bars}"
        draw = chance(self._seed, "feed", plan.strategy_id, tick.ordinal)
        return "the price feed timed out" if draw < _FEED_FAILURE_DRAWS else ""

    def _fail_unfinished(self, tick: Tick) -> None:
        for execution in self._desk.executions.unfinished():
            error = "the app was restarted"
            self._record((ExecutionFailed(execution.execution_id, error, tick.at, tick.at_ns),))


def _calls_for_exit(trade: Trade, opinion: Opinion) -> bool:
    held = trade.status == "executed" or (trade.status == "cancelled" and trade.filled_quantity > 0)
    return held and opinion.signal != trade.side
