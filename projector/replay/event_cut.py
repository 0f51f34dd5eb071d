"""An event as a place in the log: exactly behind it or before it, with its unit in one piece."""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.structs import ConsumerRecord

from projector.log import Log
from projector.replay.instant import Instant, begin_before, instant_at, parse_instant
from projector.replay.scan import NEAR, Bounds, Head, head_of, scan
from projector.replay.units import FirstSeen
from schemas.errors import FerryError
from schemas.position import format_offsets

_LATE_MS = 5_000
"""How much later than an event, by Kafka's stamps, the rest of its unit may be sent."""
_VERSION = 7


class EventUnknown(FerryError):
    """The log holds no event of that id."""


class FoundEvent(NamedTuple):
    """An event in the log: where it stands first, and what its envelope says."""

    partition: int
    offset: int
    sent_ms: int
    """By Kafka's stamp."""
    head: Head

    @property
    def at(self) -> Instant:
        """When it was recorded, by its source's clock."""
        return parse_instant(self.head.time)

    def __str__(self) -> str:
        head = self.head
        return (
            f"{head.id} ({head.type} of {head.subject}, partition {self.partition}, offset "
            f"{self.offset}, recorded {self.at})"
        )


async def find_event(log: Log, bounds: Bounds, event_id: str) -> FoundEvent:
    """Return the first record of an event; its id tells from when on to look.

    Raises: EventUnknown, saying where was looked.
    """
    at = _time_of(event_id)
    begins = await begin_before(log, bounds, at)
    ends = {p: end for p, (_, end) in bounds.items()}
    needle = event_id.encode()
    async for partition, records in scan(log, begins, ends):
        for record in records:
            if needle not in (record.value or b""):
                continue
            head = head_of(record.value)  # it may be another event's cause
            if head is not None and head.id == event_id:
                return FoundEvent(partition, record.offset, record.timestamp, head)
    raise EventUnknown(
        f"no event {event_id} is in the log; by its id it was recorded at {at}",
        where=f"topic {log.topic}, looked at from {format_offsets(begins)} to "
        f"{format_offsets(ends)}, where events of that time begin",
        remedy=f"look whether the id is whole; or name that time: --to-time {at}",
    )


def _time_of(event_id: str) -> Instant:
    try:
        parsed = uuid.UUID(event_id)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != _VERSION or str(parsed) != event_id:
        raise EventUnknown(
            f"{event_id!r} is not an event's id",
            where="the target",
            remedy="ids are UUIDs of version 7 as the envelope has them, in small letters: "
            "`memferry audit bisect` and `memferry parked show` show events with theirs",
        )
    return instant_at(parsed.int >> 80)


class EventCut(NamedTuple):
    """A position at an event; `others` counts the further events of its unit that went with it."""

    position: dict[int, int]
    others: int


async def cut_at_event(log: Log, bounds: Bounds, event: FoundEvent, *, before: bool) -> EventCut:
    """Return the position just behind an event, or just before it.

    In its own partition it is exactly there. In others its time decides: everything recorded up to
    that time is kept, or everything before it. All of its unit is kept, or nothing of it.
    """
    ends = {p: end for p, (_, end) in bounds.items()}
    wanted = dict(ends)
    if event.head.unit is None:  # nothing of its own partition is asked
        del wanted[event.partition]
    sides = {p: _Side(event, p, end, before=before) for p, end in wanted.items()}
    enough: set[int] = set()
    begins = await begin_before(log, bounds, event.at)
    async for partition, records in scan(log, {p: begins[p] for p in wanted}, ends, enough):
        if sides[partition].read(records):
            enough.add(partition)
    position = {p: side.cut() for p, side in sides.items()}
    position.setdefault(event.partition, event.offset + (not before))
    others = sum(len(side.places) for side in sides.values()) - (event.head.unit is not None)
    return EventCut(position, others)


class _Side:
    """One partition on the way to the cut: where the event's time is, and where its unit."""

    def __init__(self, event: FoundEvent, partition: int, end: int, *, before: bool) -> None:
        self._event, self._partition, self._before = event, partition, before
        self._time, self._unit = event.head.time, event.head.unit
        self._first = FirstSeen()
        self.places: list[int] = []
        self._cut: int | None = None
        self._end = end
        if partition == event.partition:
            self._cut = event.offset + (not before)

    def cut(self) -> int:
        """Return the offset that the position has here."""
        cut = self._end if self._cut is None else self._cut
        if not self.places:
            return cut
        return min(cut, *self.places[:1]) if self._before else max(cut, self.places[-1] + 1)

    def read(self, records: Sequence["ConsumerRecord[Any, Any]"]) -> bool:
        """Look at the next records; return whether that is enough."""
        for record in records:
            head = head_of(record.value)
            if head is None or not self._first.admit(head.source, self._partition, head.seq):
                continue
            if self._unit is not None and head.unit == self._unit:
                self.places.append(record.offset)
                continue
            later = head.time >= self._time if self._before else head.time > self._time
            if later and self._cut is None:
                self._cut = record.offset
            if self._cut is not None and self._is_past(record, head):
                return True
        return False

    def _is_past(self, record: "ConsumerRecord[Any, Any]", head: Head) -> bool:
        """Say whether nothing of the event's unit can follow.

        Its lane is in the order of recording. Where its source wrote no more here, the unit is
        looked for as far as records sent soon after it reach, and 2,000 further.
        """
        if self._unit is None:
            return True
        if record.offset <= (self._cut or 0):
            return False
        if head.source == self._event.head.source and head.time > self._time:
            return True
        is_far = record.offset > (self._cut or 0) + NEAR
        return bool(is_far and record.timestamp > self._event.sent_ms + _LATE_MS)
