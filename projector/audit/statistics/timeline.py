"""When records came, however many: counts by spans of time that grow as the whole does."""

import math
from itertools import pairwise
from typing import NamedTuple

from projector.audit.statistics.limits import LEAST, mad_limit, quantile, upper_limit

_SPANS_MOST = 512
_FINEST_S = 0.001
_TIMES_LONGER = 5
_TIMES_MORE = 10
_TIMES_CLUSTERED = 10
"""Of gaps by chance one in a hundred is some seven times the median."""


class Gap(NamedTuple):
    """From one record to the next, seconds of the Unix epoch; `usual_s` is the longest expected."""

    begin_s: float
    end_s: float
    usual_s: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_s - self.begin_s


class Burst(NamedTuple):
    """A span with far more records than others."""

    begin_s: float
    records: int
    usual: float
    span_s: float


class TimeLine:
    """Counts of records in up to 512 spans of one length, which doubles as often as it must.

    Of each span the first and last moments are kept, so every gap longer than a span is exact; the
    order in which records come does not matter.
    """

    __slots__ = ("_spans", "count", "span_s")

    def __init__(self) -> None:
        self.span_s = _FINEST_S
        self._spans: dict[int, list[float]] = {}
        self.count = 0

    def add(self, at_s: float) -> None:
        """Take one moment into account."""
        self.count += 1
        number = int(at_s // self.span_s)
        span = self._spans.get(number)
        if span is None:
            self._spans[number] = [1, at_s, at_s]
            if len(self._spans) > _SPANS_MOST:
                self._widen()
            return
        span[0] += 1
        if at_s < span[1]:
            span[1] = at_s
        elif at_s > span[2]:
            span[2] = at_s

    def _widen(self) -> None:
        while len(self._spans) > _SPANS_MOST:
            self.span_s *= 2
            before, self._spans = self._spans, {}
            for number, (count, first, last) in before.items():
                span = self._spans.setdefault(number // 2, [0, first, last])
                span[0] += count
                span[1] = min(span[1], first)
                span[2] = max(span[2], last)

    def rates(self) -> tuple[list[float], list[float]]:
        """Return the spans' beginnings in seconds, and the records that came in each."""
        ordered = sorted(self._spans.items())
        return [number * self.span_s for number, _ in ordered], [s[0] for _, s in ordered]

    def lulls(self) -> list[tuple[float, float]]:
        """Return from where to where there was nothing, from each span to the next."""
        ordered = [span for _, span in sorted(self._spans.items())]
        return [(before[2], after[1]) for before, after in pairwise(ordered)]

    def gaps(self, tests: int) -> list[Gap]:
        """Return the lulls that are far longer than usual, the longest first."""
        lulls = self.lulls()
        lengths = [end - begin for begin, end in lulls if end > begin]
        if len(lengths) < LEAST:
            return []
        ordered = sorted(lengths)
        # Of records that come by chance gaps are exponential; of those that come in clusters their
        # logarithms are near to normal.
        long = quantile(ordered, 0.99)
        by_chance = upper_limit(lengths, len(lengths), tests)
        usual = max(_TIMES_LONGER * long, 0.0 if by_chance == math.inf else by_chance)
        if long > _TIMES_CLUSTERED * quantile(ordered, 0.5):
            usual = max(usual, math.exp(min(700, _by_logarithm(ordered, tests))))
        found = [Gap(begin, end, usual) for begin, end in lulls if end - begin > usual]
        return sorted(found, key=lambda gap: -gap.seconds)

    def bursts(self, tests: int) -> list[Burst]:
        """Return the spans with far more records than others have, the fullest first."""
        at_s, counts = self.rates()
        if len(counts) < LEAST:
            return []
        logs = [math.log(count) for count in counts]
        limit = math.exp(min(700, upper_limit(logs, len(logs), tests)))
        usual = max(limit, _TIMES_MORE * quantile(sorted(counts), 0.5))
        found = [
            Burst(begin, int(count), usual, self.span_s)
            for begin, count in zip(at_s, counts, strict=True)
            if count > usual
        ]
        return sorted(found, key=lambda burst: -burst.records)


def _by_logarithm(ordered: list[float], tests: int) -> float:
    return mad_limit([math.log(value) for value in ordered], len(ordered), tests)
