"""The market's tape: 12,154 real daily bars of five shares, from the package bokeh-sampledata."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib import resources
from typing import NamedTuple

from schemas.trading.market_data import BarReceived

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_OPENING = time(14, 30, tzinfo=UTC)
_SESSION = timedelta(hours=6, minutes=30)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = 2**63 - 1


class DailyBar(NamedTuple):
    """One bar of the data as it is, with the place it has on the tape."""

    symbol: str
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Tick(NamedTuple):
    """One bar as the app receives it."""

    bar: BarReceived
    ordinal: int
    """Its place on the endless tape, from 0."""
    number: int
    """Its place among the bars of its symbol, from 0."""
    at: datetime
    """When it is received: after the session, a microsecond after the tick before it."""
    at_ns: int


def read_bars() -> list[DailyBar]:
    """Return all bars of the package in the order of their dates, then symbols."""
    packed = resources.files("bokeh_sampledata").joinpath("_data", "stocks.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    bars = [
        DailyBar(
            row["Ticker"],
            datetime.combine(datetime.fromisoformat(row["Date"]), _OPENING),
            Decimal(row["Open"]),
            Decimal(row["High"]),
            Decimal(row["Low"]),
            Decimal(row["Close"]),
            int(row["Volume"]),
        )
        for row in csv.DictReader(lines)
        if row["Ticker"] in SYMBOLS
    ]
    bars.sort(key=lambda bar: (bar.opened_at, bar.symbol))
    return bars


class Tape:
    """The bars, each symbol `multiplicity` times (IBM, IBM.2, …), over and over on later dates."""

    def __init__(self, bars: Sequence[DailyBar], multiplicity: int = 1) -> None:
        self._bars = bars
        self._multiplicity = multiplicity
        days = (bars[-1].opened_at - bars[0].opened_at).days
        self._span = timedelta(days=days - days % 7 + 7)  # whole weeks keep the weekdays
        self._counts = Counter(bar.symbol for bar in bars)
        self._placed = list(_placed(bars))
        self.ticks_per_lap = len(bars) * multiplicity
        span_ns = _nanoseconds(_EPOCH + self._span)
        self.laps_max = (_LAST_NS - _nanoseconds(bars[0].opened_at)) // span_ns
        """How often the tape can be played before its nanoseconds outgrow a bigint."""

    def play(self, laps: int = 0) -> Iterator[Tick]:
        """Give the ticks of so many laps in order; 0 for as many as there can be."""
        laps = min(laps, self.laps_max) if laps else self.laps_max
        for lap in range(laps):
            yield from self._lap(lap)

    def play_after(self, newest_ns: dict[str, int], laps: int = 0) -> Iterator[Tick]:
        """Give the ticks that follow the newest bar known of each symbol."""
        ticks = self.play(laps)
        for tick in ticks:
            if tick.bar.opened_at_ns > newest_ns.get(tick.bar.symbol, -1):
                yield tick
                yield from ticks

    def _lap(self, lap: int) -> Iterator[Tick]:
        shift = lap * self._span
        ordinal = lap * self.ticks_per_lap
        for bar, number, slot in self._placed:
            opened_at = bar.opened_at + shift
            opened_at_ns = _nanoseconds(opened_at)
            for copy in range(1, self._multiplicity + 1):
                symbol = bar.symbol if copy == 1 else f"{bar.symbol}.{copy}"
                late = (slot * self._multiplicity + copy) * _MICROSECOND
                at = opened_at + _SESSION + late
                received = BarReceived(symbol, opened_at, opened_at_ns, *bar[2:])
                yield Tick(
                    received, ordinal, lap * self._counts[bar.symbol] + number, at, _nanoseconds(at)
                )
                ordinal += 1


def _placed(bars: Sequence[DailyBar]) -> Iterator[tuple[DailyBar, int, int]]:
    """Give each bar with its number among those of its symbol and its slot in its day."""
    numbers: Counter[str] = Counter()
    slots: Counter[datetime] = Counter()
    for bar in bars:
        yield bar, numbers[bar.symbol], slots[bar.opened_at]
        numbers[bar.symbol] += 1
        slots[bar.opened_at] += 1


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000
