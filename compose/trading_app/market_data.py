"""The newest bars of each symbol, in rings: an older bar leaves memory when a newer one comes."""

from collections import defaultdict, deque
from decimal import Decimal

from schemas.trading.market_data import Bar

RING_BARS = 64


class MarketDataBuffer:
    """The last `RING_BARS` bars of each symbol, oldest first."""

    def __init__(self) -> None:
        self.rings: defaultdict[str, deque[Bar]] = defaultdict(lambda: deque(maxlen=RING_BARS))

    def closes(self, symbol: str, count: int) -> list[Decimal]:
        """Return the last closing prices, oldest first; fewer than `count` where there are not."""
        return [bar.close for bar in list(self.rings.get(symbol, ()))[-count:]]

    def price(self, symbol: str) -> Decimal:
        """Return the newest closing price."""
        return self.rings[symbol][-1].close

    def newest_ns(self) -> dict[str, int]:
        """Return when the newest bar of each symbol opened."""
        return {symbol: ring[-1].opened_at_ns for symbol, ring in self.rings.items() if ring}
