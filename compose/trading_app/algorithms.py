"""What a strategy makes of the last closing prices: pure functions, made from its parameters."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from schemas.trading.executions import Signal

_ZERO = Decimal(0)
_WEAKEST = Decimal("0.1")
_STRONGEST = Decimal(1)
_HUNDREDTH = Decimal("0.01")
_STEEPNESS = 20
"""A price 5 % away from what an algorithm compares it with is a signal of full strength."""


class Opinion(NamedTuple):
    """What should be done, and how sure the algorithm is, from 0 to 1."""

    signal: Signal
    strength: Decimal


class Algorithm(NamedTuple):
    """A decision over the last `needs` closing prices."""

    needs: int
    decide: Callable[[Sequence[Decimal]], Opinion]


HOLD = Opinion("hold", _ZERO)


def moving_average(parameters: Mapping[str, str]) -> Algorithm:
    """Follow the trend: buy while the mean of `fast` bars is above that of `slow` bars."""
    fast, slow = int(parameters["fast"]), int(parameters["slow"])

    def decide(closes: Sequence[Decimal]) -> Opinion:
        long_run = _mean(closes)
        short_run = _mean(closes[-fast:])
        distance = (short_run - long_run) / long_run
        return Opinion("buy" if distance > 0 else "sell", _strength(distance))

    return Algorithm(slow, decide)


def breakout(parameters: Mapping[str, str]) -> Algorithm:
    """Buy above the range of the `window` bars before, sell below it."""
    window = int(parameters["window"])

    def decide(closes: Sequence[Decimal]) -> Opinion:
        *before, price = closes
        if price > (highest := max(before)):
            return Opinion("buy", _strength(price / highest - 1))
        if price < (lowest := min(before)):
            return Opinion("sell", _strength(price / lowest - 1))
        return HOLD

    return Algorithm(window + 1, decide)


def mean_reversion(parameters: Mapping[str, str]) -> Algorithm:
    """Bet on the return to the mean of `window` bars from `threshold` mean deviations away."""
    window, threshold = int(parameters["window"]), Decimal(parameters["threshold"])

    def decide(closes: Sequence[Decimal]) -> Opinion:
        mean = _mean(closes)
        deviation = _mean([abs(close - mean) for close in closes])
        distance = closes[-1] - mean
        if abs(distance) <= threshold * deviation:
            return HOLD
        return Opinion("sell" if distance > 0 else "buy", _strength(distance / mean))

    return Algorithm(window, decide)


def watch(_parameters: Mapping[str, str]) -> Algorithm:
    """Look on, and never trade: what a candidate does."""
    return Algorithm(1, lambda _closes: HOLD)


ALGORITHMS: Mapping[str, Callable[[Mapping[str, str]], Algorithm]] = {
    "moving_average": moving_average,
    "breakout": breakout,
    "mean_reversion": mean_reversion,
    "watch": watch,
}


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, _ZERO) / len(values)


def _strength(distance: Decimal) -> Decimal:
    strength = (abs(distance) * _STEEPNESS).quantize(_HUNDREDTH)
    return min(max(strength, _WEAKEST), _STRONGEST)
