"""The events that the benchmarks carry, the same at every run.

Trades, one in ten events an update of an earlier trade; what a market shows; all five kinds mixed.
"""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from itertools import count as count_from
from typing import NamedTuple

import msgspec

from schemas.settings import Kafka, Outbox, Postgres, Settings
from schemas.trading import money
from schemas.trading.executions import ExecutionCompleted, ExecutionSignalled, ExecutionStarted
from schemas.trading.market_data import BarReceived
from schemas.trading.portfolio import PortfolioTaken, Position, equity
from schemas.trading.strategies import StrategyRegistered, StrategyStarted
from schemas.trading.trades import TradeOpened, TradePartiallyFilled

_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_TICK = 20
_BAR_SYMBOLS = 200
_TRADES_IN_TEN = 4
_LAG = 7  # an update follows its trade after so many trades
_BEGIN_NS = 1_767_225_600 * 10**9  # 2026-01-01


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
            now_ns = _BEGIN_NS + (first + produced) * 1_000_000
            now = _utc(now_ns)
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


class Shares(NamedTuple):
    """How many of a hundred events are of which kind; a portfolio snapshot has three positions."""

    bars: int = 40
    trades: int = 30
    executions: int = 24
    portfolios: int = 4
    strategies: int = 2


MIXED = Shares()
TENTH_UPDATES = Shares(bars=55, executions=9)
"""Of a hundred events ten change a row that an earlier one made: 3 fills, 6 of executions, a start.
"""


def mixed_events(count: int, shares: Shares = MIXED) -> Iterator[msgspec.Struct]:
    """Yield all five kinds."""
    kinds = (_bars(), trade_events(count), _executions(), _portfolios(), _strategies())
    turn = [kind for kind, share in zip(kinds, shares, strict=True) for _ in range(share)]
    order = sorted(range(100), key=lambda place: place * 37 % 100)  # each kind all over the hundred
    for produced in range(count):
        yield next(turn[order[produced % 100]])


def _utc(ns: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ns // 1_000 / 1_000_000, datetime.UTC)


def _bars() -> Iterator[BarReceived]:
    prices = [Decimal("100.25") + step for step in range(50)]
    for number in count_from(0):
        at_ns = _BEGIN_NS + number // _BAR_SYMBOLS * 60 * 10**9
        price = prices[number % 50]
        yield BarReceived(
            f"SYM{number % _BAR_SYMBOLS}", _utc(at_ns), at_ns, price, prices[49], prices[0], price,
            1_000 + number % 97,
        )  # fmt: skip


def _executions() -> Iterator[msgspec.Struct]:
    """Yield runs of three events each."""
    strength = Decimal("0.75")
    for number in count_from(0):
        bar_ns = _BEGIN_NS + number // _BAR_SYMBOLS * 60 * 10**9  # of a bar that came before it
        at_ns = bar_ns + (number % _BAR_SYMBOLS + 1) * 1_000_000
        at, name, symbol = _utc(at_ns), f"X-{number}", f"SYM{number % _BAR_SYMBOLS}"
        yield ExecutionStarted(name, f"S-{number % 17}", symbol, _utc(bar_ns), bar_ns, at, at_ns)
        yield ExecutionSignalled(name, "hold", strength, None, at, at_ns)
        yield ExecutionCompleted(name, at, at_ns)


def _portfolios() -> Iterator[PortfolioTaken]:
    for number in count_from(0):
        at_ns = _BEGIN_NS + number * 10**9
        price = Decimal(100 + number % 50)
        held = tuple(
            Position(symbol, Decimal(10), Decimal("99.5"), price) for symbol in _SYMBOLS[:3]
        )
        yield PortfolioTaken(
            f"P-{number % 4}",
            _utc(at_ns),
            at_ns,
            Decimal(1_000),
            equity(Decimal(1_000), held),
            held,
        )


def _strategies() -> Iterator[msgspec.Struct]:
    """Yield strategies that are registered, and then start."""
    for number in count_from(0):
        at_ns = _BEGIN_NS + number * 1_000_000
        at, name = _utc(at_ns), f"S-{number}"
        yield StrategyRegistered(name, "crossing", {"fast": "5", "slow": "20"}, at, at_ns)
        yield StrategyStarted(name, at, at_ns)


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
