"""Records that are in the log a second time: harmless where they are what they seem to be."""

from array import array
from typing import Any

from projector.lanes import open_record
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.lane import LaneHead, partition_of

_NAMED = 20
_HEX = 16
"""Digits of a digest that are kept: eight bytes an event."""


class Duplicates:
    """Counts records that were passed over, and says which of them are no second copies.

    With `prove`, and from the beginning of the log on, each is compared with the digest of the
    event that came first. Without, a run of them is proven where it reaches its lane's newest.
    """

    def __init__(self, *, prove: bool) -> None:
        self.proving = prove
        self.count = 0
        self.places: list[str] = []
        """Where the first of them are."""
        self.misfits: list[tuple[str, str]] = []
        """Places of those that are no second copies, and why."""
        self._lanes: dict[tuple[str, int], tuple[int, array[int]]] = {}

    def keep(self, source: str, partition: int, head: LaneHead) -> None:
        """Keep the digest of a lane's next event."""
        first, digests = self._lanes.setdefault((source, partition), (head.seq, array("Q")))
        if head.seq == first + len(digests):  # else a mend left some out: these prove nothing
            digests.append(int(head.digest[:_HEX], 16))

    def note(self, record: Any, partitions: int) -> None:
        """Count a record that was passed over."""
        value, event, seq = open_record(record)
        place = f"partition {record.partition}, offset {record.offset}"
        self.count += 1
        if len(self.places) < _NAMED:
            self.places.append(place)
        home = partition_of(event.subject, partitions)
        if home != record.partition and not event.type.startswith(CONTROL_PREFIX):
            said = f"event {seq} of {event.source} is of {event.subject}, of partition {home}"
            self.misfits.append((place, said))
        elif self._differs(event.source, record.partition, seq, envelope.digest(value)):
            said = f"event {seq} of {event.source} comes a second time with other content"
            self.misfits.append((place, said))

    def _differs(self, source: str, partition: int, seq: int, digest: str) -> bool:
        first, digests = self._lanes.get((source, partition), (0, array("Q")))
        place = seq - first
        return 0 <= place < len(digests) and digests[place] != int(digest[:_HEX], 16)
