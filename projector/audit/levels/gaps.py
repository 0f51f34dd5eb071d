"""Numbers of a stream as runs without holes, in whatever order they come."""

from bisect import bisect_right
from operator import attrgetter
from typing import Any, NamedTuple

from projector.audit.levels.tally import STREAMS_MOST, Broken
from schemas.domain import Kind
from schemas.rules import Gapless


class Gap(NamedTuple):
    """Numbers of a stream that are not there, both ends included."""

    stream: str
    first: int
    last: int


class Gaps:
    """Follows one rule through the records of one kind."""

    def __init__(self, kind: Kind, rule: Gapless) -> None:
        self.broken = Broken(rule.name, "numbers of a stream are missing", kind.name, rule.veto)
        self._get = attrgetter(rule.field)
        self._stream = kind.stream_getter()
        self._runs: dict[str, tuple[list[int], list[int]]] = {}
        self._left_out = 0

    @property
    def skipped(self) -> list[str]:
        """What was not looked at."""
        return self.broken.left_out(self._left_out)

    def add(self, entity: Any) -> None:
        """Take one entity's number."""
        number = self._get(entity)
        if not isinstance(number, int):
            return
        stream = self._stream(entity)
        runs = self._runs.get(stream)
        if runs is None:
            if len(self._runs) >= STREAMS_MOST:
                self._left_out += 1
            else:
                self._runs[stream] = ([number], [number])
            return
        firsts, lasts = runs
        if number == lasts[-1] + 1:  # nearly always
            lasts[-1] = number
        else:
            _put(firsts, lasts, number)

    def gaps(self) -> list[Gap]:
        """Return the numbers that are missing between the lowest and the highest of each stream."""
        return [
            Gap(stream, before + 1, after - 1)
            for stream, (firsts, lasts) in self._runs.items()
            for before, after in zip(lasts, firsts[1:], strict=False)
        ]


def _put(firsts: list[int], lasts: list[int], number: int) -> None:
    place = bisect_right(firsts, number) - 1
    if place >= 0 and number <= lasts[place]:
        return
    joins_before = place >= 0 and lasts[place] + 1 == number
    joins_after = place + 1 < len(firsts) and firsts[place + 1] == number + 1
    if joins_before and joins_after:
        lasts[place] = lasts.pop(place + 1)
        del firsts[place + 1]
    elif joins_before:
        lasts[place] = number
    elif joins_after:
        firsts[place + 1] = number
    else:
        firsts.insert(place + 1, number)
        lasts.insert(place + 1, number)
