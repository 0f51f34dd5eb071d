"""What the app's clients ask for, kind by kind. Memory or PostgreSQL answers; nobody here knows.

Every method blocks: asyncio calls it by `asyncio.to_thread`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from eventlog import Receipt
from eventlog.reads.reader import Reader
from eventlog.reads.route import Route
from schemas.trading.executions import Execution
from schemas.trading.market_data import Bar
from schemas.trading.portfolio import PortfolioSnapshot
from schemas.trading.strategies import Strategy
from schemas.trading.trades import Trade

UNFILLED = ("open", "partially_filled")
"""The order matters: trades go from the first to the second, never back."""


class MarketDataRepository(NamedTuple):
    """Price bars."""

    reader: Reader

    def newest(self, symbol: str, count: int) -> list[Bar]:
        """Return the newest bars of a symbol, oldest first.

        More than memory's ring holds come only from PostgreSQL.
        """
        return self.reader.of_stream(symbol, limit=count)


class StrategyRepository(NamedTuple):
    """Strategies."""

    reader: Reader

    def get(self, strategy_id: str) -> Strategy | None:
        """Return a strategy."""
        strategy: Strategy | None = self.reader.get(strategy_id)
        return strategy

    def running(self) -> list[Strategy]:
        """Return the strategies that run, by id."""
        return self.reader.find(status="running")


class TradeRepository(NamedTuple):
    """Trades."""

    reader: Reader

    def get(self, trade_id: str) -> Trade | None:
        """Return a trade."""
        trade: Trade | None = self.reader.get(trade_id)
        return trade

    def open(self, symbol: str) -> list[Trade]:
        """Return the trades of a symbol that wait to be filled, by id."""
        # A trade that is filled in part between the two reads is in the second: none is missed.
        found: dict[str, Trade] = {}
        for status in UNFILLED:
            found |= {t.trade_id: t for t in self.reader.find(symbol=symbol, status=status)}
        return [found[trade_id] for trade_id in sorted(found)]

    def page(self, after_id: str | None, limit: int) -> list[Trade]:
        """Return the trades that come after an id, by id."""
        return self.reader.page(after_id, limit)


class ExecutionRepository(NamedTuple):
    """Strategy executions."""

    reader: Reader

    def get(self, execution_id: str) -> Execution | None:
        """Return an execution."""
        execution: Execution | None = self.reader.get(execution_id)
        return execution

    def of_strategy(self, strategy_id: str, limit: int) -> list[Execution]:
        """Return executions of a strategy, by id."""
        return self.reader.find(strategy_id=strategy_id, limit=limit)


class PortfolioRepository(NamedTuple):
    """Portfolio snapshots."""

    reader: Reader

    def newest(self, account: str) -> PortfolioSnapshot | None:
        """Return the newest snapshot of an account."""
        found = self.reader.of_stream(account, limit=1)
        return found[0] if found else None


class Repositories:
    """All five, their reads on one route, each read showing at least the event of `after`."""

    def __init__(self, reader_of: Callable[[str], Reader], after: Receipt | None = None) -> None:
        first = reader_of("market_data").pinned(after=after)
        self.route: Route = first.route

        def pinned(kind: str) -> Reader:
            return reader_of(kind).pinned(self.route, after)

        self.market_data = MarketDataRepository(first)
        self.strategies = StrategyRepository(pinned("strategy"))
        self.trades = TradeRepository(pinned("trade"))
        self.executions = ExecutionRepository(pinned("execution"))
        self.portfolios = PortfolioRepository(pinned("portfolio"))

    def by_kind(self) -> dict[str, Reader]:
        """Return the reader of each kind."""
        every: tuple[Any, ...] = (
            self.market_data, self.strategies, self.trades, self.executions, self.portfolios,
        )  # fmt: skip
        return {repository.reader.kind.name: repository.reader for repository in every}
