"""What would let a stopped partition go on: found by reading the log behind the place.

Nothing is decided here. Each proposal says what it ignores, with which record a lane goes on, and
what is lost by it; it is proven by admitting the records behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from projector.lanes import ForeignSource, LaneBook, RecordRefused, open_record
from schemas.envelope import Envelope, digest
from schemas.errors import FerryError
from schemas.lane import (
    ChainBroken,
    DuplicateDiffers,
    EpochFell,
    LaneBroken,
    LaneHead,
    LaneId,
    SequenceGap,
)
from schemas.mend import Mend
from schemas.void import Voids

Records = Sequence["ConsumerRecord[Any, Any]"]
_MOST = 100
"""So many damages in one stretch are no accident: somebody must look."""


class Proposal(msgspec.Struct, frozen=True):
    """One mend, the damage that it answers, and what is lost by it."""

    mend: Mend
    error: str
    effect: str


class NotMendable(FerryError):
    """No mend is known that would let the lane go on."""


class _AnyVoids(Voids):
    """The mark of a void is no damage, whatever the tables did: a swap lets them go on."""

    def require(self, void: str, source: str, *, reversing: bool) -> None:
        """Let any mark pass."""


def propose(
    records: Records,
    generation: int,
    heads: Mapping[LaneId, LaneHead],
    sources: set[str],
    mends: Sequence[Mend] = (),
) -> list[Proposal]:
    """Return the mends that a stretch of one partition needs, from its first record on.

    Shape:   `records` begin at the offset to go on from; `heads` are the lanes before it; `mends`
             are those decided already, or given by hand.
    Returns: an empty list where nothing is wrong.
    Raises:  NotMendable where a lane's damage is the last that there is of it yet, or where a
             stretch has more damages than one looks through.
    """
    proposals: list[Proposal] = []
    while (
        found := stops_at(records, generation, heads, sources, _all(mends, proposals))
    ) is not None:
        place, error = found
        if len(proposals) == _MOST:
            raise NotMendable(
                f"more than {_MOST} records in a row are damaged",
                where=_where(records[place]),
                remedy="find out what happened to this topic; publish the outbox into a new one",
            )
        proposals.append(_answer(records, place, error, generation))
    return proposals


def stops_at(
    records: Records,
    generation: int,
    heads: Mapping[LaneId, LaneHead],
    sources: set[str],
    mends: Sequence[Mend],
) -> tuple[int, FerryError] | None:
    """Return which record is not admitted, and why; None where all are."""
    lanes = LaneBook(generation, heads, sources, mends, _AnyVoids(generation))
    for place, record in enumerate(records):
        try:
            lanes.admit(record)
        except FerryError as error:
            return place, error
    return None


def stops_at_once(records: Records, place: int, error: FerryError, mended: int) -> bool:
    """Say whether a lane stops before anything of it is admitted behind the offset `mended`."""
    if records[place].offset <= mended:
        return True
    if not isinstance(error, LaneBroken) or isinstance(error, ForeignSource):
        return False  # another damage, which stands behind by chance
    between = (record for record in records[:place] if record.offset > mended)
    return not any(_source(record) == error.lane.source for record in between)


def _all(mends: Sequence[Mend], proposals: Sequence[Proposal]) -> list[Mend]:
    return [*mends, *(proposal.mend for proposal in proposals)]


def _answer(records: Records, place: int, error: FerryError, generation: int) -> Proposal:
    record = records[place]
    at = Mend(generation, record.partition, record.offset)
    if isinstance(error, RecordRefused):
        return _proposal(at, [record], error, "the record is no event: nothing is lost with it")
    if isinstance(error, ForeignSource):
        foreign = [r for r in records[place:] if _source(r) == error.lane.source]
        what = f"{len(foreign)} records of a source that never registered count as no events"
        return _proposal(at, foreign, error, what)
    if isinstance(error, DuplicateDiffers):
        what = f"what was applied as event {error.seq} stays; the other one counts as no event"
        return _proposal(at, [record], error, what)
    if not isinstance(error, SequenceGap | ChainBroken | EpochFell):
        raise NotMendable(
            error.what, where=error.where, remedy="this cannot be mended by passing over records"
        )
    _, event, seq = open_record(record)
    if isinstance(error, ChainBroken) and not _vouched_for(records[place:], event.source, seq):
        return _without(records, place, error, at)
    return _continued(at, (event, seq, record.offset), (), error)


def _without(records: Records, place: int, error: LaneBroken, at: Mend) -> Proposal:
    """Pass over a record that was altered: its lane goes on with the one behind it."""
    record = records[place]
    _, event, seq = open_record(record)
    following = _next(records[place + 1 :], event.source, seq + 1)
    if following is None:
        raise NotMendable(
            f"event {seq} was altered, and there is none behind it in its lane yet that could say "
            "what it had been",
            where=_where(record),
            remedy="wait until the source has written more, and ask again",
        )
    behind, its_event, its_seq = following
    lost = f"event {seq} of stream {event.subject} was altered and counts as none"
    return _continued(at, (its_event, its_seq, behind.offset), (record.offset,), error, lost)


def _continued(
    at: Mend,
    goes_on: tuple[Envelope, int, int],
    ignore: tuple[int, ...],
    error: FerryError,
    lost: str = "",
) -> Proposal:
    event, seq, offset = goes_on
    mend = msgspec.structs.replace(
        at,
        source=event.source,
        ignore=ignore,
        continue_at=offset,
        head=LaneHead(seq - 1, event.chain, event.epoch),
    )
    lost = lost or _loss(error)
    return Proposal(
        mend, str(error.what), f"the lane goes on with event {seq} at offset {offset}; {lost}"
    )


def _loss(error: FerryError) -> str:
    if isinstance(error, SequenceGap):
        return f"{error.what}: they are lost to tables and audits"
    if isinstance(error, EpochFell):
        return "its epoch counts from here on; nothing is lost"
    return "an event before it was altered, and is applied as it stands"


def _proposal(at: Mend, ignored: Records, error: FerryError, effect: str) -> Proposal:
    offsets = tuple(record.offset for record in ignored)
    return Proposal(msgspec.structs.replace(at, ignore=offsets), str(error.what), effect)


def _vouched_for(records: Records, source: str, seq: int) -> bool:
    """Say whether the next event of the lane continues this very record."""
    following = _next(records[1:], source, seq + 1)
    return following is not None and following[1].chain == digest(bytes(records[0].value))


def _next(
    records: Records, source: str, seq: int
) -> tuple["ConsumerRecord[Any, Any]", Envelope, int] | None:
    for record in records:
        try:
            _, event, number = open_record(record)
        except RecordRefused:
            continue
        if event.source == source and number == seq:
            return record, event, number
    return None


def _source(record: "ConsumerRecord[Any, Any]") -> str | None:
    try:
        return open_record(record)[1].source
    except RecordRefused:
        return None


def _where(record: "ConsumerRecord[Any, Any]") -> str:
    return f"topic {record.topic}, partition {record.partition}, offset {record.offset}"
