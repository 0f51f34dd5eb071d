"""Units that a cut through the log splits: some of their events are kept, others set aside."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

import msgspec

from projector.log import Log
from projector.replay.scan import NEAR, Bounds, head_of, scan
from schemas.spill import Spill

_PLACES_MOST = 10
_BITS = 48  # of a place that are the offset's
_KEPT, _ASIDE = b"k", b"a"


class SplitUnit(msgspec.Struct, frozen=True):
    """A unit with events on both sides; places are `partition:offset`, the first ten of each."""

    unit: str
    kept: int
    set_aside: int
    kept_at: list[str]
    set_aside_at: list[str]


class UnitSides:
    """Events of units and the side that each is on, however many: on disk, not in memory."""

    def __init__(self) -> None:
        self._spill = Spill()

    def add(self, unit: str, partition: int, offset: int, *, kept: bool) -> None:
        """Take one event of a unit; none twice."""
        self._spill.add(unit, partition << _BITS | offset, _KEPT if kept else _ASIDE)

    def split(self) -> Iterator[SplitUnit]:
        """Give the units that are on both sides, by id."""
        for unit, rows in groupby(self._spill.in_order(), itemgetter(0)):
            sides: dict[bytes, list[str]] = {_KEPT: [], _ASIDE: []}
            counts = {_KEPT: 0, _ASIDE: 0}
            for _, place, side in rows:
                counts[side] += 1
                if len(sides[side]) < _PLACES_MOST:
                    sides[side].append(f"{place >> _BITS}:{place & (1 << _BITS) - 1}")
            if all(counts.values()):
                yield SplitUnit(
                    unit, counts[_KEPT], counts[_ASIDE], sides[_KEPT], sides[_ASIDE]
                )  # fmt: skip

    def close(self) -> None:
        """Forget everything."""
        self._spill.close()


class FirstSeen:
    """Says of each record whether its lane was there before: what is sent twice counts once.

    `seqs` is (source, partition) → the newest number that was seen.
    """

    def __init__(self) -> None:
        self.seqs: dict[tuple[str, int], int] = {}

    def admit(self, source: str, partition: int, seq: int) -> bool:
        """Take the next record of a partition; False where it is a duplicate."""
        lane = (source, partition)
        if seq <= self.seqs.get(lane, 0):
            return False
        self.seqs[lane] = seq
        return True


async def units_split(log: Log, bounds: Bounds, position: Mapping[int, int]) -> list[SplitUnit]:
    """Return the units that a position splits, of the 2,000 records on either side of it.

    A unit is one transaction of its outbox, so its events are near each other wherever the relay
    goes on from; in a position of offsets that are far apart in time, more units may be split. The
    scan of everything behind it (`discarded`) finds them all.
    """
    begins = {p: max(bounds[p][0], offset - NEAR) for p, offset in position.items()}
    ends = {p: min(bounds[p][1], offset + NEAR) for p, offset in position.items()}
    sides, first = UnitSides(), FirstSeen()
    try:
        async for partition, records in scan(log, begins, ends):
            cut = position[partition]
            for record in records:
                head = head_of(record.value)
                if head is None or not first.admit(head.source, partition, head.seq):
                    continue
                if head.unit is not None:
                    sides.add(head.unit, partition, record.offset, kept=record.offset < cut)
        return list(sides.split())
    finally:
        sides.close()
