"""Rows that are odd as a whole, though no field of theirs is: scikit-learn's IsolationForest."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from projector.audit.statistics.limits import LEAST, quantile
from projector.audit.statistics.reservoir import Sample
from schemas.errors import FerryError

_TREES = 100
_ROWS_A_TREE = 1_024
_ODD = 0.79
"""Of a score up to 1. Most rows have some 0.45; of clean data, heavy tails included, the highest
was 0.78."""


class ForestMissing(FerryError):
    """The isolation forest was asked for, and scikit-learn is not installed."""


class OddRow:
    """One row of numbers, with where it was read."""

    __slots__ = ("key", "numbers", "place", "score")

    def __init__(self, key: str, place: str, numbers: Sequence[float]) -> None:
        self.key, self.place, self.numbers = key, place, numbers
        self.score = 0.0


def require_forest() -> Any:
    """Return the class; raises ForestMissing."""
    try:
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415  (an extra, slow to import)
    except ImportError as error:
        raise ForestMissing(
            "the isolation forest needs scikit-learn, which is not installed",
            where="the extra `statistics`",
            remedy="pip install 'memferry[statistics]', or validate without the forest",
        ) from error
    return IsolationForest


def odd_rows(sample: Sample[OddRow]) -> list[OddRow]:
    """Return the rows of a sample that are far more isolated than the others, the oddest first."""
    rows = sample.items
    if len(rows) < LEAST:
        return []
    forest = require_forest()
    columns = [_scaled(column) for column in zip(*(row.numbers for row in rows), strict=True)]
    numbers = list(zip(*columns, strict=True))
    of = min(len(numbers), _ROWS_A_TREE)
    made = forest(n_estimators=_TREES, max_samples=of, random_state=1).fit(numbers)
    for row, score in zip(rows, made.score_samples(numbers), strict=True):
        row.score = -float(score)
    ordered = sorted(row.score for row in rows)
    high = quantile(ordered, 0.99)
    limit = max(_ODD, high + (high - quantile(ordered, 0.5)) / 2)
    return sorted((row for row in rows if row.score > limit), key=lambda row: -row.score)


def _scaled(column: Sequence[float]) -> list[float]:
    """Return values by their logarithm, near zero as they are: trees cut between values."""
    size = median([abs(value) for value in column if value] or [1.0])
    return [math.asinh(value / size) for value in column]
