"""One field's values counted while they pass by, in bounded memory."""

import datetime
import math
import random
import statistics
from decimal import Decimal
from typing import Any

from eventlog.extraction.distinct import Distinct
from eventlog.extraction.fields import is_missing, is_time
from schemas.extraction import FieldStatistics

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
SAMPLED = 2_048
"""Numbers kept of a field, evenly drawn, to judge the others by."""
FAR_MADS = 20.0
"""How many median absolute deviations from the median is far: markets have heavy tails."""
FEW = 30
"""Below this many numbers nothing is called far off."""
Fence = tuple[float, float]


class Counter:
    """Counts one field."""

    __slots__ = ("_distinct", "_draw", "_high", "_low", "_numbers", "_sample", "_total", "count",
                 "missing", "name")  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.missing = 0
        self._distinct = Distinct()
        self._numbers = 0
        self._total: Any = 0
        self._low: Any = None
        self._high: Any = None
        self._sample: list[float] = []
        self._draw = random.Random(name)  # noqa: S311  (drawn evenly, and the same at every run)

    def add(self, value: Any) -> None:
        """Take the field's value of one more entity."""
        self.count += 1
        if is_missing(value):
            self.missing += 1
            return
        self._distinct.add(value)
        number = as_number(value)
        if number is None:
            return
        try:
            if self._low is None or value < self._low:
                self._low = value
            if self._high is None or value > self._high:
                self._high = value
        except TypeError:  # a field of several types: what came first is the measure
            return
        self._numbers += 1
        self._total += number
        if len(self._sample) < SAMPLED:
            self._sample.append(float(number))
        elif (place := int(self._draw.random() * self._numbers)) < SAMPLED:
            self._sample[place] = float(number)

    def result(self) -> FieldStatistics:
        """Return what was counted."""
        counted = FieldStatistics(
            self.name, self.count, self.missing, self._distinct.count, self._distinct.exact
        )
        if not self._numbers:
            return counted
        mean = self._total / self._numbers
        middle = _EPOCH + mean * _MICROSECOND if is_time(self._low) else mean
        return FieldStatistics(
            self.name, self.count, self.missing, self._distinct.count, self._distinct.exact,
            text_of(self._low), text_of(self._high), text_of(middle),
        )  # fmt: skip

    def fence(self) -> Fence | None:
        """Return between which numbers a value is not far off; None where too little is known."""
        if len(self._sample) < FEW:
            return None
        middle = statistics.median(self._sample)
        spread = statistics.median(abs(number - middle) for number in self._sample)
        if not spread:
            return None
        return (middle - FAR_MADS * spread, middle + FAR_MADS * spread)

    def middle(self) -> float | None:
        """Return the median, about; None where there was no number."""
        return statistics.median(self._sample) if self._sample else None

    @property
    def high(self) -> Any:
        """The largest value, None where none can be compared."""
        return self._high


def as_number(value: Any) -> Any:
    """Return a finite number, of a time its microseconds since 1970; None for anything else."""
    kind = type(value)
    if kind is int:
        return value
    if kind is Decimal:
        return value if value.is_finite() else None
    if kind is float:
        return value if math.isfinite(value) else None
    return (value - _EPOCH) // _MICROSECOND if is_time(value) else None


def text_of(value: Any) -> str:
    """Write a number or a time as the log does."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    return f"{value:.6g}" if isinstance(value, float) else str(value)
