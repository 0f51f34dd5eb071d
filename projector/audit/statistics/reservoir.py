"""Many values in little memory: a fair sample of them, and the most extreme ones by name."""

import heapq
import math
import random
from array import array
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Reservoir:
    """A sample of the values that were added, each as likely in it as any other.

    Of up to `size` values it holds all. The same values in the same order with the same seed give
    the same sample.
    """

    __slots__ = ("_log_weight", "_random", "_size", "_skip", "count", "values")

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._random = random.Random(seed)  # noqa: S311  (a sample, no secret)
        self._log_weight = 0.0
        self._skip = -1
        self.values = array("d")
        self.count = 0

    def add(self, value: float) -> None:
        """Take one value into account."""
        self.count += 1
        if self._skip > 0:
            self._skip -= 1
        elif self._skip < 0:
            self.values.append(value)
            if len(self.values) == self._size:
                self._draw()
        else:
            self.values[self._random.randrange(self._size)] = value
            self._draw()

    @property
    def share(self) -> float:
        """The share of the values that it holds: 1 for all."""
        return len(self.values) / self.count if self.count else 1.0

    def _draw(self) -> None:
        """Draw how many values pass before the next one is taken (Li's algorithm L)."""
        draw = self._random.random
        self._log_weight += math.log(1.0 - draw()) / self._size
        kept = math.log1p(-math.exp(self._log_weight))
        self._skip = int(math.log(1.0 - draw()) / kept) if kept else 2**62


class Sample(Generic[T]):
    """A fair sample of anything, by the plain way, for what is added seldom."""

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._random = random.Random(seed)  # noqa: S311  (a sample, no secret)
        self.items: list[T] = []
        self.count = 0

    def add(self, item: T) -> None:
        """Take one item into account."""
        self.count += 1
        if len(self.items) < self._size:
            self.items.append(item)
            return
        place = self._random.randrange(self.count)
        if place < self._size:
            self.items[place] = item


class Extreme(NamedTuple):
    """One value, with where it was read."""

    value: float
    key: str
    place: str


class Extremes:
    """The lowest and the highest values that were added, so many on each side."""

    __slots__ = ("_high", "_low", "_most", "floor", "roof")

    def __init__(self, most: int) -> None:
        self._most = most
        self._low: list[tuple[float, str, str]] = []
        self._high: list[tuple[float, str, str]] = []
        self.floor = math.inf
        """Values below it are among the lowest."""
        self.roof = -math.inf

    def add(self, value: float, key: str, place: str) -> None:
        """Take one value into account that is below `floor` or above `roof`."""
        if value < self.floor:
            _push(self._low, (-value, key, place), self._most)
            if len(self._low) == self._most:
                self.floor = -self._low[0][0]
        if value > self.roof:
            _push(self._high, (value, key, place), self._most)
            if len(self._high) == self._most:
                self.roof = self._high[0][0]

    def lowest(self) -> list[Extreme]:
        """Return the lowest values, the lowest first."""
        found = sorted(self._low, reverse=True)
        return [Extreme(-value, key, place) for value, key, place in found]

    def highest(self) -> list[Extreme]:
        """Return the highest values, the highest first."""
        return [Extreme(*one) for one in sorted(self._high, reverse=True)]


def _push(heap: list[tuple[float, str, str]], item: tuple[float, str, str], most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
