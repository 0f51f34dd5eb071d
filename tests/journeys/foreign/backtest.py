"""A trading app by others: basana's dispatcher and exchange on real bars, a strategy of two means.

Nothing here knows memferry: it is what a user of basana has.
"""

import datetime
from collections import deque
from decimal import Decimal

import basana as bs
from basana.backtesting.errors import Error
from basana.backtesting.exchange import Exchange
from basana.backtesting.fees import Percentage

from compose.trading_app.tape import read_bars

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")
_SHORT, _LONG = 5, 20
_DAY = datetime.timedelta(days=1)
_SHARE = Decimal("0.2")


class Crossing:
    """Holds shares while the short mean of their closes is above the long one."""

    def __init__(self, exchange: Exchange, pair: bs.Pair) -> None:
        self._exchange = exchange
        self._pair = pair
        self._closes: deque[Decimal] = deque(maxlen=_LONG)
        self._held = Decimal(0)

    async def on_bar(self, event: bs.BarEvent) -> None:
        """Buy or sell at the market where the means cross; leave a limit order where they touch."""
        self._closes.append(event.bar.close)
        if len(self._closes) < _LONG:
            return
        short = sum(list(self._closes)[-_SHORT:], Decimal(0)) / _SHORT
        rising = short > sum(self._closes, Decimal(0)) / _LONG
        if rising and not self._held:
            cash = (await self._exchange.get_balance("USD")).available
            amount = (cash * _SHARE / event.bar.close).quantize(Decimal(1))
            await self._place(bs.OrderOperation.BUY, amount, event.bar.close)
        elif not rising and self._held:
            await self._place(bs.OrderOperation.SELL, self._held, event.bar.close)

    async def _place(self, operation: bs.OrderOperation, amount: Decimal, close: Decimal) -> None:
        if amount <= 0:
            return
        for order in await self._exchange.get_open_orders(self._pair):
            await self._exchange.cancel_order(order.id)
        try:
            await self._exchange.create_market_order(operation, self._pair, amount)
            self._held = amount if operation is bs.OrderOperation.BUY else Decimal(0)
            far = close * (Decimal("0.8") if operation is bs.OrderOperation.BUY else Decimal("1.2"))
            await self._exchange.create_limit_order(
                bs.OrderOperation.BUY, self._pair, Decimal(1), far.quantize(Decimal("0.01"))
            )
        except Error:  # not enough cash: the next crossing may have it
            return


class Backtest:
    """One run over the bars of four shares."""

    def __init__(self, cash: Decimal = Decimal(1_000_000)) -> None:
        self.dispatcher = bs.backtesting_dispatcher()
        self.exchange = Exchange(
            self.dispatcher, {"USD": cash}, fee_strategy=Percentage(Decimal("0.1"))
        )
        for symbol in SYMBOLS:
            pair = bs.Pair(symbol, "USD")
            self.exchange.subscribe_to_bar_events(pair, Crossing(self.exchange, pair).on_bar)

    def feed(self, days: int) -> None:
        """Give the exchange the first so many bars of each share."""
        bars = read_bars()
        for symbol in SYMBOLS:
            events = [
                bs.BarEvent(
                    bar.opened_at + _DAY,
                    bs.Bar(
                        bar.opened_at, bs.Pair(symbol, "USD"), bar.open, bar.high, bar.low,
                        bar.close, Decimal(bar.volume), _DAY,
                    ),
                )
                for bar in [one for one in bars if one.symbol == symbol][:days]
            ]  # fmt: skip
            self.exchange.add_bar_source(bs.FifoQueueEventSource(events=list(events)))

    async def run(self) -> None:
        """Trade until the bars end."""
        await self.dispatcher.run()
