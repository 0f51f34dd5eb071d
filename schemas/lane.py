"""The unit of order: (source, topic generation, partition), its numbering and its chain.

Loss, doubling and reordering are proven by `seq` and `chain` alone; Kafka's offsets never judge
completeness. A run of duplicates is proven by its own chain when it reaches the last applied event.
"""

import zlib
from hashlib import sha256
from typing import NamedTuple

import msgspec

from schemas.errors import FerryError

CONTROL_PARTITION = -1
"""The partition number under which a source's own lane in the control topic is kept."""


class LaneId(NamedTuple):
    """Which lane: one source's events in one partition of one generation of the topic."""

    source: str
    generation: int
    partition: int

    def __str__(self) -> str:
        return f"{self.source}/g{self.generation}/p{self.partition}"


class LaneHead(msgspec.Struct, frozen=True, gc=False):
    """The last event of a lane that counts: its number, its SHA-256 in hex, its epoch."""

    seq: int
    digest: str
    epoch: int


class LaneBroken(FerryError):
    """The log of a lane does not continue what was applied; its partition stops here."""

    def __init__(self, what: str, *, lane: LaneId, seq: int, offset: int, remedy: str) -> None:
        self.lane, self.seq, self.offset = lane, seq, offset
        where = f"lane {lane}, seq {seq}, partition {lane.partition}, offset {offset}"
        super().__init__(what, where=where, remedy=remedy)


class SequenceGap(LaneBroken):
    """Events are missing between the last applied one and this one."""


class ChainBroken(LaneBroken):
    """An event's chain is not the SHA-256 of the one before: something was altered or swapped."""


class DuplicateDiffers(LaneBroken):
    """A number that was applied comes again with other content."""


class EpochFell(LaneBroken):
    """An event's epoch is lower than that of the one before it in its lane."""


_REPLAY_REMEDY = (
    "compare the source's outbox with the topic (`memferry audit`); if the topic was altered, "
    "publish the outbox into a new topic generation"
)


def genesis(lane: LaneId) -> LaneHead:
    """Return the head of a lane with no events: numbering from 0, a digest of the lane's own name.

    The name in the digest keeps a whole lane from being passed off as another one.
    """
    return LaneHead(0, sha256(f"memferry lane {lane}".encode()).hexdigest(), 0)


def partition_of(stream: str, partitions: int) -> int:
    """Return the partition of a stream: CRC-32 of its UTF-8 bytes, modulo the partition count.

    Fixed for the life of a topic generation; not Kafka's murmur2, which Python computes slowly.
    """
    return zlib.crc32(stream.encode()) % partitions


class LaneCheck:
    """Follows one lane from its applied head and says of each record whether it is new.

    Not for two threads. A raised error leaves the check where it was, before the offending record.
    """

    __slots__ = ("_digest", "_epoch", "_run_digest", "_run_seq", "_seq", "duplicates", "lane")

    def __init__(self, lane: LaneId, head: LaneHead) -> None:
        self.lane = lane
        self._seq, self._digest, self._epoch = head.seq, head.digest, head.epoch
        self.duplicates = 0
        self._run_seq = 0  # the duplicate run: its last number and digest
        self._run_digest = ""

    @property
    def head(self) -> LaneHead:
        """The last event that was admitted."""
        return LaneHead(self._seq, self._digest, self._epoch)

    def admit(self, event_bytes: bytes, seq: int, epoch: int, chain: str, offset: int) -> bool:
        """Advance over one record: True if it is the next event, False if it was applied before.

        Raises: SequenceGap, ChainBroken, DuplicateDiffers, EpochFell: lane, seq and offset named.
        """
        if seq != self._seq + 1:
            if seq > self._seq:
                raise SequenceGap(
                    f"events {self._seq + 1} to {seq - 1} are missing from the log",
                    lane=self.lane, seq=seq, offset=offset, remedy=_REPLAY_REMEDY,
                )  # fmt: skip
            self._check_duplicate(event_bytes, seq, chain, offset)
            return False
        if chain != self._digest:
            raise ChainBroken(
                f"event {seq} does not continue event {self._seq}: its chain is {chain[:12]}…, "
                f"the SHA-256 of the event before it is {self._digest[:12]}…",
                lane=self.lane, seq=seq, offset=offset, remedy=_REPLAY_REMEDY,
            )  # fmt: skip
        if epoch < self._epoch:
            raise EpochFell(
                f"event {seq} has epoch {epoch} after epoch {self._epoch}",
                lane=self.lane, seq=seq, offset=offset, remedy=_REPLAY_REMEDY,
            )  # fmt: skip
        self._seq, self._digest, self._epoch = seq, sha256(event_bytes).hexdigest(), epoch
        self._run_seq = 0
        return True

    def pass_to(self, seq: int, digest: str, epoch: int) -> None:
        """Take over a run of events that a caller has compared, each with the one before it.

        Such a caller has done for each what `admit` does for one that is the next.
        """
        self._seq, self._digest, self._epoch = seq, digest, epoch
        self._run_seq = 0

    def _check_duplicate(self, event_bytes: bytes, seq: int, chain: str, offset: int) -> None:
        digest = sha256(event_bytes).hexdigest()
        broken_run = seq == self._run_seq + 1 and self._run_seq and chain != self._run_digest
        if broken_run or (seq == self._seq and digest != self._digest):
            raise DuplicateDiffers(
                f"event {seq} comes a second time with other content",
                lane=self.lane, seq=seq, offset=offset,
                remedy="two outboxes wrote as the same source: retire one; " + _REPLAY_REMEDY,
            )  # fmt: skip
        self._run_seq, self._run_digest = seq, digest
        self.duplicates += 1
