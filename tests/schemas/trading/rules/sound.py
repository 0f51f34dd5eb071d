"""A small sound desk: one entity of each kind and state, and the events that make a trade."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

from msgspec.structs import replace

from schemas.trading.executions import Execution, ExecutionStarted
from schemas.trading.market_data import Bar, BarReceived
from schemas.trading.portfolio import PortfolioSnapshot, Position
from schemas.trading.strategies import Strategy, StrategyRegistered
from schemas.trading.trades import (
    Trade,
    TradeClosed,
    TradeExecuted,
    TradeOpened,
    TradePartiallyFilled,
)

DAY = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
Moment = tuple[datetime, int]


def at(seconds: int) -> Moment:
    """Return a time of the day, and the same in nanoseconds."""
    time = DAY + timedelta(seconds=seconds)
    return time, int(time.timestamp()) * 10**9


BAR = Bar("IBM", *at(0), D("10.5"), D("12"), D("10"), D("11"), 300)
STRATEGY = Strategy("S-1", "breakout", "running", {"window": "20"}, *at(0), *at(1))
OPEN = Trade(
    "T-1", "S-1", "IBM", "buy", "open", D(10), D("11.5"), D(0), D(0), None, D(0), None, None,
    *at(10), *at(10), None, None,
)  # fmt: skip
PARTLY = replace(
    OPEN, status="partially_filled", filled_quantity=D(4), filled_value=D(44),
    average_price=D("11.00000000"), fees=D("0.5"), updated_at=at(20)[0], updated_at_ns=at(20)[1],
)  # fmt: skip
EXECUTED = replace(
    PARTLY, status="executed", filled_quantity=D(10), filled_value=D(113),
    average_price=D("11.30000000"), fees=D("1.25"), updated_at=at(30)[0], updated_at_ns=at(30)[1],
)  # fmt: skip
CLOSED = replace(
    EXECUTED, status="closed", fees=D("2.25"), exit_price=D("12"), realised_profit=D("4.75"),
    updated_at=at(40)[0], updated_at_ns=at(40)[1], closed_at=at(40)[0], closed_at_ns=at(40)[1],
)  # fmt: skip
CANCELLED = replace(PARTLY, status="cancelled")
SOLD = replace(EXECUTED, side="sell", limit_price=D("11.3"))
COMPLETED = Execution(
    "E-1", "S-1", "IBM", *at(0), "completed", "buy", D("0.5"), "T-1", None, *at(5), *at(10)
)
STARTED = Execution("E-2", "S-1", "IBM", *at(0), "started", None, None, None, None, *at(5), *at(5))
FAILED = replace(STARTED, status="failed", error="no price", execution_id="E-3")
PORTFOLIO = PortfolioSnapshot(
    "main", *at(35), D("1000.25"), D("1110.25"), (Position("IBM", D(10), D("11.3"), D(11)),)
)
DESK: tuple[Any, ...] = (BAR, STRATEGY, EXECUTED, COMPLETED, STARTED, FAILED, PORTFOLIO)

RECEIVED = BarReceived(*(getattr(BAR, name) for name in BAR.__struct_fields__))
REGISTERED = StrategyRegistered("S-1", "breakout", {"window": "20"}, *at(0))
OPENED = TradeOpened("T-1", "S-1", "IBM", "buy", D(10), D("11.5"), *at(10))
FILLED = TradePartiallyFilled(
    "T-1", D(4), D(11), D("0.5"), D(4), D(44), D("11.00000000"), D("0.5"), *at(20)
)
LAST = TradeExecuted(
    "T-1", D(6), D("11.5"), D("0.75"), D(10), D(113), D("11.30000000"), D("1.25"), *at(30)
)
EXIT = TradeClosed("T-1", D(12), D(1), D("2.25"), D("4.75"), *at(40))
RUN = ExecutionStarted("E-1", "S-1", "IBM", *at(0), *at(5))
HISTORY: tuple[Any, ...] = (RECEIVED, REGISTERED, OPENED, FILLED, LAST, EXIT, RUN)
