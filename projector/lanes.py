"""Every record is admitted to its lane before anything else looks at it."""

from collections.abc import Collection, Mapping

from aiokafka.structs import ConsumerRecord

from schemas import envelope
from schemas.envelope import Envelope, EnvelopeInvalid
from schemas.errors import FerryError
from schemas.lane import LaneBroken, LaneCheck, LaneHead, LaneId, genesis


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
    """The lanes of one projection or fold, from their applied heads onwards."""

    def __init__(
        self, generation: int, heads: Mapping[LaneId, LaneHead], sources: Collection[str]
    ) -> None:
        self._generation = generation
        self._checks = {
            (lane.source, lane.partition): LaneCheck(lane, head) for lane, head in heads.items()
        }
        self.sources = set(sources)

    @property
    def duplicates(self) -> int:
        """Records skipped because they were applied before."""
        return sum(check.duplicates for check in self._checks.values())

    def admit(self, record: "ConsumerRecord[bytes, bytes]") -> tuple[Envelope, LaneCheck] | None:
        """Return a record's envelope and its lane, moved up to it; None for a duplicate.

        Raises: LaneBroken naming lane, seq and offset; RecordRefused naming partition and offset.
        """
        value, event, seq = open_record(record)
        check = self._checks.get((event.source, record.partition))
        if check is None:
            check = self._open(event, record, seq)
        if check.admit(value, seq, event.epoch, event.chain, record.offset):
            return event, check
        return None

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
