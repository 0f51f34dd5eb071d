"""The events that the benchmarks carry: trades, one in ten events an update of an earlier trade."""

import datetime
import time
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from schemas.settings import Kafka, Outbox, Postgres, Settings
from schemas.trading import money
from schemas.trading.market_data import BarReceived
from schemas.trading.trades import TradeOpened, TradePartiallyFilled

_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_TICK = 20
_BAR_SYMBOLS = 200
_TRADES_IN_TEN = 4
_LAG = 7  # an update follows its trade after so many trades


class _Unfilled(msgspec.Struct):
    side: str = "buy"
    filled_quantity: Decimal = Decimal(0)
    filled_value: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)


def trade_events(count: int, first: int = 0) -> Iterator[msgspec.Struct]:
    """Yield `count` events: nine trades opened, then one partial fill, and so on."""
    number, produced = first, 0
    unfilled = _Unfilled()
    quantity, fee = Decimal(40), Decimal("0.35")
    price, lot = Decimal("101.25"), Decimal(100)
    limits = [Decimal("101.50") + step for step in range(97)]
    while produced < count:
        if produced % _TICK == 0:  # a market's clock ticks for many orders at once
            now_ns = time.time_ns()
            now = datetime.datetime.fromtimestamp(now_ns // 1_000 / 1_000_000, datetime.UTC)
        if produced % 10 == 9 and number - first > _LAG:
            filled = money.after_fill(unfilled, quantity, price, fee)
            yield TradePartiallyFilled(
                f"T-{number - _LAG}", quantity, price, fee, filled.filled_quantity,
                filled.filled_value, filled.average_price, filled.fees, now, now_ns,
            )  # fmt: skip
        else:
            number += 1
            yield TradeOpened(
                f"T-{number}", f"S-{number % 17}", _SYMBOLS[number % 5], "buy", lot,
                limits[number % 97], now, now_ns,
            )  # fmt: skip
        produced += 1


def market_events(count: int) -> Iterator[msgspec.Struct]:
    """Yield what a trading app sees: of ten events six bars, three trades opened, one filled.

    Bars go to ring buffers of many symbols, so the app's memory stays small.
    """
    trades = trade_events(count * 4 // 10)
    prices = [Decimal("100.25") + step for step in range(50)]
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    minute = datetime.timedelta(minutes=1)
    number = 0
    for produced in range(count):
        if produced % 10 < _TRADES_IN_TEN:
            yield next(trades)
            continue
        symbol, at = number % _BAR_SYMBOLS, number // _BAR_SYMBOLS
        price = prices[at % 50]
        opened_at = start + at * minute
        yield BarReceived(
            f"SYM{symbol}", opened_at, int(opened_at.timestamp()) * 1_000_000_000, price,
            prices[49], prices[0], price, 1_000 + at,
        )  # fmt: skip
        number += 1


def settings_for(name: str, kafka: str, dsn: str, directory: str, partitions: int) -> Settings:
    """Return settings of a benchmark's own topic, projection and outbox."""
    return Settings(
        domain="schemas.trading",
        source="bench",
        topic=name,
        projection=name,
        kafka=Kafka(bootstrap=kafka, partitions=partitions),
        postgres=Postgres(dsn=dsn),
        outbox=Outbox(path=f"{name}.db"),
        directory=directory,
    )
