"""How many different values there were, in bounded memory: counted while few, then estimated.

The k smallest of evenly spread hashes say how many there are: their spread is their density.
"""

import heapq
from typing import Any

import msgspec

_SPACE = 1 << 64
_ODD = 0x9E3779B97F4A7C15
KEPT = 1024
"""Hashes kept: an estimate is then within some 3 percent, two times out of three."""


class Distinct:
    """Counts different values."""

    __slots__ = ("_heap", "_present")

    def __init__(self) -> None:
        self._present: set[int] = set()
        self._heap: list[int] = []  # negated: the largest kept is at the top

    def add(self, value: Any) -> None:
        """Take a value, of any type."""
        try:
            mark = hash(value)
        except TypeError:
            mark = hash(msgspec.json.encode(value, enc_hook=repr, order="deterministic"))
        mark = _spread(mark)
        if mark in self._present:
            return
        if len(self._heap) < KEPT:
            heapq.heappush(self._heap, -mark)
            self._present.add(mark)
        elif mark < -self._heap[0]:
            self._present.discard(-heapq.heapreplace(self._heap, -mark))
            self._present.add(mark)

    @property
    def exact(self) -> bool:
        """Whether `count` was counted."""
        return len(self._heap) < KEPT

    @property
    def count(self) -> int:
        """How many different values there were."""
        if self.exact:
            return len(self._heap)
        return round((KEPT - 1) * _SPACE / -self._heap[0])


def _spread(mark: int) -> int:
    """Return a hash whose bits all depend on all bits of the one given: ints hash to themselves."""
    mark = (mark ^ ((mark & (_SPACE - 1)) >> 32)) * _ODD & (_SPACE - 1)
    mark = (mark ^ (mark >> 29)) * 0xBF58476D1CE4E5B9 & (_SPACE - 1)
    return mark ^ (mark >> 32)
