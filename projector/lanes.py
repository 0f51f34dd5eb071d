"""Every record is admitted to its lane before anything else looks at it."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas import envelope
from schemas.control import MARK_TYPES, RolledBack, RolledForward, decode_control
from schemas.envelope import Envelope, EnvelopeInvalid
from schemas.errors import FerryError
from schemas.lane import LaneBroken, LaneCheck, LaneHead, LaneId, genesis
from schemas.mend import Mend, Mends
from schemas.void import VoidNotObeyed, Voids


class RecordRefused(FerryError):
    """A record is no event of ours; its partition stops here."""


class ForeignSource(LaneBroken):
    """An event comes from a source that the control topic does not know."""


def open_record(record: "ConsumerRecord[bytes, bytes]") -> tuple[bytes, Envelope, int]:
    """Return a record's bytes, its envelope and its number; raises RecordRefused."""
    value = record.value
    try:
        if value is None:
            raise EnvelopeInvalid("a record has no value")
        event = envelope.decode(value)
        return value, event, int(event.seq)
    except (EnvelopeInvalid, ValueError) as error:
        raise RecordRefused(
            str(error).splitlines()[0],
            where=f"topic {record.topic}, partition {record.partition}, offset {record.offset}",
            remedy="find who else writes to this topic; only relays may",
        ) from error


class LaneBook:
    """The lanes of one projection or fold, from their applied heads onwards.

    `voids` are those that its owner obeys: void events move their lane like others. A mark that
    says otherwise than what the owner did is not admitted.
    """

    def __init__(
        self,
        generation: int,
        heads: Mapping[LaneId, LaneHead],
        sources: Collection[str],
        mends: Iterable[Mend] = (),
        voids: Voids | None = None,
    ) -> None:
        self._generation = generation
        self.voids = Voids(generation) if voids is None else voids
        self._mends = Mends(generation, mends)
        self._mended = self._mends.partitions  # empty as a rule, and then all that a record costs
        self._checks = {
            (lane.source, lane.partition): LaneCheck(lane, head) for lane, head in heads.items()
        }
        self.sources = set(sources)

    @property
    def duplicates(self) -> int:
        """Records skipped because they were applied before."""
        return sum(check.duplicates for check in self._checks.values())

    def heads(self) -> dict[LaneId, LaneHead]:
        """Return the head of each lane that has events."""
        return {check.lane: check.head for check in self._checks.values()}

    def check(self, source: str, partition: int) -> LaneCheck | None:
        """Return what follows a lane; None where none of its events was admitted yet."""
        return self._checks.get((source, partition))

    def admit(self, record: "ConsumerRecord[bytes, bytes]") -> tuple[Envelope, LaneCheck] | None:
        """Return a record's envelope and its lane, moved up to it.

        Returns: None for a duplicate, and for what a mend ignores.
        Raises:  LaneBroken naming lane, seq and offset; RecordRefused naming partition and offset;
                 VoidNotObeyed naming all of them.
        """
        if self._mended and self._mends.ignores(record.partition, record.offset):
            return None
        value, event, seq = open_record(record)
        if event.type in MARK_TYPES:
            self._judge(record, value, event, seq)
        return self.admit_opened(record, value, event, seq)

    def admit_opened(
        self, record: "ConsumerRecord[bytes, bytes]", value: bytes, event: Envelope, seq: int
    ) -> tuple[Envelope, LaneCheck] | None:
        """Do as `admit` with a record whose envelope was read already; raises LaneBroken."""
        if self._mended and record.partition in self._mended:
            if self._mends.ignores(record.partition, record.offset):
                return None
            self._continue(record)
        check = self._checks.get((event.source, record.partition))
        if check is None:
            check = self._open(event, record, seq)
        if check.admit(value, seq, event.epoch, event.chain, record.offset):
            return event, check
        return None

    def _continue(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        found = self._mends.continues(record.partition, record.offset)
        if found is not None and found[0] in self.sources:
            source, head = found
            lane = LaneId(source, self._generation, record.partition)
            old = self._checks.get((source, record.partition))
            check = self._checks[(source, record.partition)] = LaneCheck(lane, head)
            check.duplicates = old.duplicates if old is not None else 0

    def _judge(
        self, record: "ConsumerRecord[bytes, bytes]", value: bytes, event: Envelope, seq: int
    ) -> None:
        """Check a mark, where it is the next event of its lane, before the lane is moved to it."""
        if self._mended and record.partition in self._mended:
            self._continue(record)
        check = self._checks.get((event.source, record.partition))
        if check is None and event.source not in self.sources:
            return  # refused for that
        lane = LaneId(event.source, self._generation, record.partition)
        head = genesis(lane) if check is None else check.head
        if seq != head.seq + 1:
            return  # a second copy, or behind a hole
        LaneCheck(lane, head).admit(value, seq, event.epoch, event.chain, record.offset)
        where = f"lane {lane}, seq {seq}, partition {lane.partition}, offset {record.offset}"
        try:
            mark = decode_control(event.type, event.data)
        except msgspec.MsgspecError as error:
            raise RecordRefused(
                f"the mark of a void cannot be read: {error}",
                where=where,
                remedy="run the memferry that wrote it, or a later one",
            ) from error
        if isinstance(mark, RolledBack | RolledForward):
            try:
                self.voids.require(
                    mark.void, event.source, reversing=isinstance(mark, RolledForward)
                )
            except VoidNotObeyed as error:
                raise VoidNotObeyed(error.what, where=where, remedy=error.remedy) from error

    def _open(self, event: Envelope, record: "ConsumerRecord[bytes, bytes]", seq: int) -> LaneCheck:
        lane = LaneId(event.source, self._generation, record.partition)
        if event.source not in self.sources:
            raise ForeignSource(
                f"source {event.source!r} is not registered in the control topic",
                lane=lane,
                seq=seq,
                offset=record.offset,
                remedy="an app registers its source when the shim is attached for the first time; "
                "find out who writes here",
            )
        check = self._checks[(event.source, record.partition)] = LaneCheck(lane, genesis(lane))
        return check

    def rewind(self, heads: Mapping[LaneId, LaneHead], partitions: Collection[int]) -> None:
        """Put the lanes of some partitions back to their committed heads."""
        for place in [place for place in self._checks if place[1] in partitions]:
            del self._checks[place]
        for lane, head in heads.items():
            if lane.partition in partitions:
                self._checks[(lane.source, lane.partition)] = LaneCheck(lane, head)
