"""Within which limits the values of a field lie: by median and MAD, wider where tails are heavy.

Each side has its own limit, so that of skewed data neither side is judged by the other. The limit
is the farther of two. (1) Median and MAD: as if the side were that of a normal distribution. (2)
Tails: beyond a quantile the data are taken to thin out as slowly as an exponential, at the pace at
which they do between quantiles of the sample. Both are set so far out that of all values of all
fields together hardly ever one is beyond, if all are what they should be. What is positive is
judged by its logarithm: there an exponential tail is a Pareto tail, as money and markets have.

Source: docs/statistics.md
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import NamedTuple

LEAST = 100
"""Of fewer values nothing is said."""
ALPHA = 0.01
"""The share of clean sources of which one value in all may be called an outlier."""
_TAILS = (0.25, 0.125, 0.0625, 0.03125)
_TAIL_LEAST = 12
"""A tail is measured only where the sample has so many values in it."""
_PACE = 1 / 3
"""However closely the others lie, values by their logarithm thin out no faster than this: as the
inverse cubic law has it of markets."""
_PACE_TO_ZERO = 1.0
"""Where some values are below half of the median: sums of both signs come near to zero."""
_NEAR = math.log(3)
"""Less than thrice what three in a hundred values exceed is no outlier, however close the others
are: a price may double."""
_NORMAL = 1.4826
_POSITIVE = 0.99


class Limits(NamedTuple):
    """The values between which a field's values are expected, ends included."""

    low: float
    high: float
    least: float = 0.0
    """Of values above zero the lowest that is expected."""

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, float):
            return False
        return (self.least if value > 0 else self.low) <= value <= self.high

    def __str__(self) -> str:
        low = self.least or self.low
        said = "" if low == -math.inf else f"from {low:.6g} "
        said += "" if self.high == math.inf else f"up to {self.high:.6g}"
        return said.strip() or "any value"


def limits_of(sample: Sequence[float], count: int, tests: int) -> Limits | None:
    """Return the limits of values of which a sample is given; None where it is too small.

    `count` is of the values that are judged, `tests` of the groups of values judged beside each
    other.
    """
    if len(sample) < LEAST:
        return None
    chance = ALPHA / (2 * max(tests, 1) * count)
    size = median([abs(value) for value in sample if value] or [1.0])
    ordered = sorted(sample)
    mirrored = _mirrored(ordered)
    if sum(value > 0 for value in sample) < _POSITIVE * len(sample):
        return Limits(
            -_signed(mirrored, size, chance, _PACE), _signed(ordered, size, chance, _PACE)
        )
    low = -_signed(mirrored, size, chance, 0.0)
    logs = sorted(math.log(value) for value in sample if value > 0)
    wide = quantile(logs, _TAILS[-1]) < quantile(logs, 0.5) - math.log(2)
    least = -_upper(_mirrored(logs), chance, _PACE_TO_ZERO if wide else _PACE)
    least = min(least, quantile(logs, _TAILS[-1]) - _NEAR)
    high = max(_upper(logs, chance, _PACE), quantile(logs, 1 - _TAILS[-1]) + _NEAR)
    return Limits(low, _exp(high), _exp(least))


def upper_limit(sample: Sequence[float], count: int, tests: int) -> float:
    """Return only the upper limit, on the scale that the values have; infinite: none."""
    if len(sample) < LEAST:
        return math.inf
    return _upper(sorted(sample), ALPHA / (max(tests, 1) * count))


def mad_limit(ordered: Sequence[float], count: int, tests: int) -> float:
    """Return the upper limit by median and MAD alone, of ordered values near to normal."""
    return _by_mad(ordered, ALPHA / (max(tests, 1) * count))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values, between two of them by their weights."""
    place = share * (len(ordered) - 1)
    below = int(place)
    if below + 1 >= len(ordered):
        return ordered[-1]
    part = place - below
    return ordered[below] * (1 - part) + ordered[below + 1] * part


def _signed(ordered: Sequence[float], size: float, chance: float, least_pace: float) -> float:
    """Return the upper limit of values of both signs: their far tail is like that of a logarithm.

    Around zero it is like the values themselves, so there median and MAD are theirs.
    """
    scaled = [math.asinh(value / size) for value in ordered]
    tail = _by_tails(scaled, chance, least_pace, last=2)
    return max(_by_mad(ordered, chance), _sinh(tail) * size) if _spread(scaled) else math.inf


def _upper(ordered: Sequence[float], chance: float, least_pace: float = 0.0) -> float:
    """Return the upper limit that a clean value is beyond with `chance` at most."""
    limit = max(_by_mad(ordered, chance), _by_tails(ordered, chance, least_pace))
    return limit if _spread(ordered) else math.inf


def _spread(ordered: Sequence[float]) -> bool:
    """Say whether values differ above the median.

    Where nearly all of them are the same nothing says how far off one may be.
    """
    middle = quantile(ordered, 0.5)
    tails = _tails_of(ordered)
    return quantile(ordered, 1 - tails[-1] / 2) - middle > 1e-9 * max(1.0, abs(middle))


def _by_tails(
    ordered: Sequence[float], chance: float, least_pace: float = 0.0, last: int = len(_TAILS)
) -> float:
    limit = -math.inf
    for tail in _tails_of(ordered)[-last:]:
        begin = quantile(ordered, 1 - tail)
        pace = (quantile(ordered, 1 - tail / 2) - begin) / math.log(2)
        unsure = 1 + 2 / math.sqrt(tail * len(ordered))
        pace = max(pace * unsure, least_pace)
        limit = max(limit, begin + pace * math.log(tail / chance))
    return limit


def _tails_of(ordered: Sequence[float]) -> list[float]:
    return [tail for tail in _TAILS if tail * len(ordered) >= _TAIL_LEAST]


def _by_mad(ordered: Sequence[float], chance: float) -> float:
    middle = quantile(ordered, 0.5)
    mad = quantile(ordered, 0.75) - middle  # the median of the distances on this side
    unsure = 1 + 4 / math.sqrt(len(ordered))
    far = -NormalDist().inv_cdf(max(chance, 1e-300))
    return middle + far * _NORMAL * mad * unsure


def _mirrored(ordered: Sequence[float]) -> list[float]:
    return [-value for value in reversed(ordered)]


def _sinh(value: float) -> float:
    return math.sinh(value) if abs(value) < 700 else math.copysign(math.inf, value)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
