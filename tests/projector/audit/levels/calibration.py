"""How often the statistical level cries wolf on clean data, and what it finds of planted faults.

`python -m tests.projector.audit.levels.calibration COUNT SEED`, or `make calibrate`: COUNT sources
of each shape of data. A small run of it is in the suite.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from projector.audit.levels.statistical import StatisticalLevel, drift
from schemas.trading import DOMAIN as TRADING
from tests.projector.audit.levels.measured import (
    SHAPES,
    SHOP,
    TIMES,
    Sale,
    held,
    level,
    sales,
    traded,
    with_gap,
)

SIZES = (60, 150, 1_000, 10_000)
PLANTED_IN = 1_000
APP_BARS = (500, 2_000, 6_000, 12_154)
replace = msgspec.structs.replace


class Rate(NamedTuple):
    """Of so many sources, so many were called."""

    of: int
    called: int

    @property
    def share(self) -> float:
        return self.called / self.of if self.of else 0.0


class Calibration(NamedTuple):
    """Sources with at least one false alarm, by shape; alarms by rule; faults found, by fault."""

    clean: dict[str, Rate]
    alarms: Counter[str]
    planted: dict[str, Rate]

    @property
    def false_alarms(self) -> Rate:
        return Rate(
            sum(rate.of for rate in self.clean.values()),
            sum(rate.called for rate in self.clean.values()),
        )


def calibrate(
    count: int, seed: int, *, sizes: Sequence[int] = SIZES, bars: Sequence[int] = APP_BARS
) -> Calibration:
    """Look at clean sources and at spoilt ones."""
    clean: dict[str, list[bool]] = {}
    planted: dict[str, list[bool]] = {}
    alarms: Counter[str] = Counter()
    for number in range(count):
        for size in sizes:
            for shape in SHAPES:
                random = Random(f"{seed} {number} {size} {shape}")
                times = TIMES[(number + size + len(shape)) % len(TIMES)]
                made = sales(random, size, shape, times)
                looked = level(SHOP, held(made))
                halves = level(SHOP, held(made[::2])), level(SHOP, held(made[1::2]))
                found = [*_rules(looked), *(breach.rule for breach in drift(*halves)[1])]
                alarms.update(f"{shape}, {size}, {times}: {rule}" for rule in found)
                clean.setdefault(shape, []).append(bool(found))
                if size == PLANTED_IN:
                    _plant(planted, made, random, shape, times)
        for few in bars:
            found = _rules(level(TRADING, traded(seed + number, few)))
            alarms.update(f"app, {few} bars: {rule}" for rule in found)
            clean.setdefault("app", []).append(bool(found))
    return Calibration(_rates(clean), alarms, _rates(planted))


def _plant(
    planted: dict[str, list[bool]], made: list[Sale], random: Random, shape: str, times: str
) -> None:
    """Plant each fault by itself, and note whether it is found."""
    place = random.randrange(len(made))
    sale = made[place]

    def spoil(name: str, changed: Sale, rule: str) -> None:
        looked = level(SHOP, held([*made[:place], changed, *made[place + 1 :]]))
        rows = {row for b in looked.finish().breaches if b.rule == rule for row in b.rows}
        planted.setdefault(f"{name}, {shape}", []).append(sale.number in rows)

    spoil("price in micros", replace(sale, price=sale.price * 1e6), "sale.price.outlier")
    spoil("price x 1000", replace(sale, price=sale.price * 1e3), "sale.price.outlier")
    spoil("price / 1e6", replace(sale, price=sale.price / 1e6), "sale.price.outlier")
    gap = "sale.at.gap" in _rules(level(SHOP, held(with_gap(made, random))))
    planted.setdefault(f"gap of 100 times the longest, {times}", []).append(gap)
    copied = level(SHOP, held([*made, replace(sale, number="copy")]))
    planted.setdefault("duplicate", []).append("sale.content.duplicate" in _rules(copied))
    _plant_drift(planted, made, shape)


def _plant_drift(planted: dict[str, list[bool]], made: list[Sale], shape: str) -> None:
    looked = level(SHOP, held(made))
    changes: dict[str, Callable[[Sale], Sale]] = {
        "every price half as much again": lambda s: replace(s, price=s.price * 1.5),
        "every tenth price is a hundredth": lambda s: (
            replace(s, price=s.price / 100) if s.number.endswith("0") else s
        ),
    }
    for name, change in changes.items():
        other = level(SHOP, held([change(sale) for sale in made]))
        found = {breach.rule for breach in drift(looked, other)[1]}
        planted.setdefault(f"{name}, {shape}", []).append("sale.price.drift" in found)


def _rules(looked: StatisticalLevel) -> list[str]:
    return [breach.rule for breach in looked.finish().breaches]


def _rates(found: dict[str, list[bool]]) -> dict[str, Rate]:
    return {name: Rate(len(called), sum(called)) for name, called in sorted(found.items())}


def main(count: int, seed: int) -> None:
    """Print both shares, shape by shape."""
    result = calibrate(count, seed)
    total = result.false_alarms
    lines = [f"clean sources with a false alarm: {total.called} of {total.of} ({total.share:.1%})"]
    lines += [f"  {name:<10} {rate.called:>4} of {rate.of}" for name, rate in result.clean.items()]
    lines += [f"  {alarms:>4} x {rule}" for rule, alarms in result.alarms.most_common(20)]
    lines.append("planted faults found:")
    lines += [
        f"  {name:<46} {rate.called:>4} of {rate.of} ({rate.share:.0%})"
        for name, rate in result.planted.items()
    ]
    sys.stdout.write("\n".join([*lines, f"COUNT={count} SEED={seed}"]) + "\n")


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], "5", "1"][:2]))
