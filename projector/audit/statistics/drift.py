"""Whether two samples are of one distribution: Kolmogorov-Smirnov, and population stability."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from projector.audit.report import Distribution
from projector.audit.statistics.limits import quantile

ALPHA = 0.001
"""The share of clean comparisons, of all fields together, in which one is called drifted."""
LEAST = 20
"""Of fewer values on a side nothing is called drifted."""
PSI_LIMIT = 0.2
PSI_LEAST = 200
"""Of fewer values bins are empty by chance, and only Kolmogorov-Smirnov judges."""
_BINS = 10
_NO_SHARE = 1e-4
"""Taken for the share of an empty bin, which has no logarithm."""
_PAIRS = 50
"""Terms of the series, two by two."""


class Drift(NamedTuple):
    """A field in source and target, and how likely so large a difference is by chance."""

    distribution: Distribution
    p_value: float


def drift_of(field: str, source: Sequence[float], target: Sequence[float], fields: int) -> Drift:
    """Compare one field of `fields` that are compared; both samples have values."""
    left, right = sorted(source), sorted(target)
    ks = ks_of(left, right)
    p_value = ks_p_value(ks, len(left), len(right))
    inner = _inner_edges(left, right)
    shares = _shares(left, inner), _shares(right, inner)
    psi = psi_of(*shares)
    enough = min(len(left), len(right)) >= LEAST
    # Of samples of one distribution PSI is a chi-squared variable over the samples' sizes.
    free = max(len(inner), 1)
    by_chance = (free + 5 * math.sqrt(2 * free)) * (1 / len(left) + 1 / len(right))
    unstable = min(len(left), len(right)) >= PSI_LEAST and psi > PSI_LIMIT + by_chance
    drifted = p_value < ALPHA / max(fields, 1) or unstable
    edges = [min(left[0], right[0]), *inner, max(left[-1], right[-1])]
    return Drift(Distribution(field, edges, *shares, ks, psi, enough and drifted), p_value)


def ks_of(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the largest difference of the shares below a value, of two ordered samples."""
    i = j = 0
    most = 0.0
    while i < len(left) and j < len(right):
        value = min(left[i], right[j])
        while i < len(left) and left[i] == value:
            i += 1
        while j < len(right) and right[j] == value:
            j += 1
        most = max(most, abs(i / len(left) - j / len(right)))
    return most


def ks_p_value(ks: float, left: int, right: int) -> float:
    """Return how likely samples of these sizes differ so much by chance (asymptotically)."""
    root = math.sqrt(left * right / (left + right))
    x = (root + 0.12 + 0.11 / root) * ks
    if x < 0.2:
        return 1.0
    signs = (1.0, -1.0) * _PAIRS
    terms = enumerate(signs, start=1)
    total = sum(sign * math.exp(-2 * k * k * x * x) for k, sign in terms)
    return min(1.0, max(0.0, 2 * total))


def psi_of(source: Sequence[float], target: Sequence[float]) -> float:
    """Return the population stability index of shares of the same bins; 0 for equal ones."""
    total = 0.0
    for before, after in zip(source, target, strict=True):
        if before != after:
            a, b = max(before, _NO_SHARE), max(after, _NO_SHARE)
            total += (b - a) * math.log(b / a)
    return total


def _inner_edges(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """Return the deciles of both, those that differ; a bin ends with its upper edge."""
    both = sorted([*left, *right])
    found = [quantile(both, number / _BINS) for number in range(1, _BINS)]
    return [edge for edge in sorted(set(found)) if edge < both[-1]]


def _shares(ordered: Sequence[float], inner: Sequence[float]) -> list[float]:
    counts = [0] * (len(inner) + 1)
    for value in ordered:
        counts[bisect_left(inner, value)] += 1
    return [count / len(ordered) for count in counts]
