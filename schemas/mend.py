"""Mends: what an operator decided about a damaged place of the log, so that its lane goes on.

A mend names offsets that count as no events, and a record that its lane continues with whatever
stands before it. Whoever reads the log past that place obeys it, at every replay alike.
"""

from collections.abc import Iterable

import msgspec

from schemas.lane import LaneHead


class Mend(msgspec.Struct, frozen=True):
    """One decision about one lane; offsets are Kafka's, of one partition of the data topic."""

    generation: int
    partition: int
    at: int
    """Where the partition stood still."""
    source: str = ""
    """Whose lane goes on, where `continue_at` says so."""
    ignore: tuple[int, ...] = ()
    """Records that count as no events."""
    continue_at: int | None = None
    """The record that the lane goes on with."""
    head: LaneHead | None = None
    """What is taken for the event before it."""


class Mends:
    """The mends of one topic generation, looked up by record."""

    def __init__(self, generation: int, mends: Iterable[Mend] = ()) -> None:
        self._ignored: set[tuple[int, int]] = set()
        self._heads: dict[tuple[int, int], tuple[str, LaneHead]] = {}
        for mend in mends:
            if mend.generation != generation:
                continue
            self._ignored.update((mend.partition, offset) for offset in mend.ignore)
            if mend.continue_at is not None and mend.head is not None:
                self._heads[mend.partition, mend.continue_at] = (mend.source, mend.head)
        self.partitions = frozenset(partition for partition, _ in (*self._ignored, *self._heads))
        """Those that have mends: records of others need no look."""

    def ignores(self, partition: int, offset: int) -> bool:
        """Say whether a record counts as no event."""
        return (partition, offset) in self._ignored

    def continues(self, partition: int, offset: int) -> tuple[str, LaneHead] | None:
        """Return whose lane goes on with a record, and what is taken for the event before it."""
        return self._heads.get((partition, offset))
