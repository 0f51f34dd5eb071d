"""A trading desk: the app's five containers and the one way to change them."""

from typing import get_args

from compose.trading_app.executions import ExecutionLog
from compose.trading_app.market_data import MarketDataBuffer
from compose.trading_app.portfolio import PortfolioTracker
from compose.trading_app.recording import Recording
from compose.trading_app.strategies import StrategyManager
from compose.trading_app.trades import TradeBook
from schemas.trading.strategies import StrategyEvent
from schemas.trading.trades import TradeEvent


class Desk:
    """All that the app has in memory."""

    def __init__(self) -> None:
        self.market = MarketDataBuffer()
        self.strategies = StrategyManager()
        self.book = TradeBook()
        self.executions = ExecutionLog()
        self.portfolios = PortfolioTracker(self.book, self.market)
        self.recording = Recording(
            {
                "market_data": self.market.rings,
                "strategy": self.strategies.strategies,
                "trade": self.book.trades,
                "execution": self.executions.executions,
                "portfolio": self.portfolios.rings,
            }
        )
        self.recording.tell(get_args(StrategyEvent), self.strategies.follow)
        self.recording.tell(get_args(TradeEvent), self.book.follow)

    def rebuild(self) -> None:
        """Derive from the containers all that follows from them."""
        self.strategies.rebuild()
        self.book.rebuild()
        self.executions.rebuild()
