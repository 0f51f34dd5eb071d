"""Clean data of many shapes, and faults to plant in it, for the statistical level: all seeded."""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import msgspec

from compose.trading_app.app import TradingApp
from compose.trading_app.options import Options
from projector.audit.levels.statistical import StatisticalLevel
from projector.audit.records.record import Record
from schemas.derived.kind import derive_kind
from schemas.domain import Domain
from schemas.rules import Content, Measured, Rules, Timed
from schemas.trading import DOMAIN as TRADING
from tests.projector.audit.levels.given import as_held

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


class Sale(msgspec.Struct, frozen=True):
    number: str
    symbol: str
    price: float
    profit: float
    fee: float
    count: int
    at: datetime


SALES = derive_kind("sale", Sale, key=["number"])
SHOP = Domain(
    "shop",
    (SALES,),
    "",
    Rules(
        (
            Measured("sale", "price", group_by="symbol"),
            Measured("sale", "profit"),
            Measured("sale", "fee"),
            Measured("sale", "count"),
            Timed("sale", "at"),
            Content("sale", ("symbol", "price", "profit", "fee", "count", "at")),
        )
    ),
)
TIMES = ("poisson", "weekdays", "clustered")


def sales(random: Random, count: int, shape: str, times: str) -> list[Sale]:
    """Sales without a fault, of one shape of values and one of times."""
    walks = {symbol: 100.0 for symbol in "ABC"}
    at = BEGAN
    made = []
    for number in range(count):
        symbol = random.choice("ABC")
        walks[symbol] *= math.exp(random.gauss(0, 0.02))
        at += timedelta(seconds=_pause(random, times, at))
        price = walks[symbol] if shape == "walk" else abs(100 * value(random, shape)) or 1.0
        made.append(
            Sale(
                f"S-{number}", symbol, price, value(random, shape) - value(random, shape),
                0.1 * abs(value(random, shape)), int(10 * abs(value(random, shape))), at,
            )
        )  # fmt: skip
    return made


_SHAPED: dict[str, Callable[[Random], float]] = {
    "normal": lambda random: random.gauss(5, 1),
    "lognormal": lambda random: random.lognormvariate(0, 1.5),
    "pareto": lambda random: random.paretovariate(1.5),
    "student": lambda random: 5 + random.gauss(0, 1) / math.sqrt(random.gammavariate(1.5, 2) / 3),
    "uniform": lambda random: random.uniform(1, 2),
    "lumps": lambda random: random.choices([1, 2, 5, 10, 100], [60, 25, 10, 4.5, 0.5])[0],
    "zeros": lambda random: 0.0 if random.random() < 0.7 else random.expovariate(1),
    "walk": lambda random: random.expovariate(1),
}
SHAPES = tuple(_SHAPED)


def value(random: Random, shape: str) -> float:
    """One number of a shape."""
    return _SHAPED[shape](random)


def _pause(random: Random, times: str, at: datetime) -> float:
    match times:
        case "poisson":
            return random.expovariate(1 / 60)
        case "weekdays":
            return 86_400.0 if at.weekday() < 4 else 3 * 86_400.0
        case _:
            return random.lognormvariate(0, 1.5)


def held(entities: list[Sale]) -> Iterator[Record]:
    for sale in entities:
        yield Record("table sale", SALES, sale.number, sale)


def level(domain: Domain, records: Iterator[Record]) -> StatisticalLevel:
    looking = StatisticalLevel(domain)
    for record in records:
        looking.add(record)
    return looking


def traded(seed: int, bars: int, multiplicity: int = 1) -> Iterator[Record]:
    """Everything that the sample app recorded, as the tables hold it."""
    app = TradingApp(Options(seed=seed, multiplicity=multiplicity))
    held: dict[tuple[str, object], object] = {}
    keys = {kind.name: kind.key_getter() for kind in TRADING.kinds}

    def follow(event: msgspec.Struct) -> None:
        kind = TRADING.kind_of[type(event)]
        place = (kind.name, keys[kind.name](event))
        held[place] = kind.evolve(held.get(place), event)

    app.desk.recording.tell(TRADING.kind_of, follow)
    app.trade(bars)
    yield from as_held(TRADING, filter(None, held.values()))


def with_gap(entities: list[Sale], random: Random) -> list[Sale]:
    """Nothing came for a hundred times the longest pause, somewhere."""
    longest = max(after.at - before.at for before, after in pairwise(entities))
    place = random.randrange(len(entities) // 4, 3 * len(entities) // 4)
    return [
        sale
        if number < place
        else msgspec.structs.replace(sale, at=sale.at + 100 * longest)
        for number, sale in enumerate(entities)
    ]  # fmt: skip
