"""The portfolio tracker: what each account holds and is worth, looked at again and again."""

from collections import defaultdict, deque
from datetime import datetime
from decimal import Decimal

from compose.trading_app.market_data import MarketDataBuffer
from compose.trading_app.trades import INITIAL_CASH, TradeBook
from schemas.trading.portfolio import PortfolioSnapshot, PortfolioTaken, Position, equity

RING_SNAPSHOTS = 32


class PortfolioTracker:
    """The last `RING_SNAPSHOTS` portfolio snapshots of each account, oldest first."""

    def __init__(self, book: TradeBook, market: MarketDataBuffer) -> None:
        self.rings: defaultdict[str, deque[PortfolioSnapshot]] = defaultdict(
            lambda: deque(maxlen=RING_SNAPSHOTS)
        )
        self._book = book
        self._market = market

    def take(self, account: str, at: datetime, at_ns: int) -> PortfolioTaken:
        """Return the event of looking at an account now."""
        positions = self.positions(account)
        cash = self._book.cash[account]
        return PortfolioTaken(account, at, at_ns, cash, equity(cash, positions), positions)

    def positions(self, account: str) -> tuple[Position, ...]:
        """Return what an account holds, at the newest prices."""
        price = self._market.price
        return tuple(
            Position(symbol, quantity, average_price, price(symbol))
            for symbol, quantity, average_price in self._book.positions(account)
        )

    def equity(self) -> Decimal:
        """Return what all accounts are worth together, at the newest prices."""
        cash = self._book.cash
        worth = (equity(cash[account], self.positions(account)) for account in sorted(cash))
        return sum(worth, Decimal(0)) if cash else INITIAL_CASH
