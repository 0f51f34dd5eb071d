"""Records of a fetch, admitted, decoded and handled: what one transaction will apply."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from aiokafka.structs import ConsumerRecord

from projector.lanes import LaneBook
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneCheck, LaneHead, LaneId
from schemas.tables import Change


class EventUnreadable(FerryError):
    """The event's type is unknown here, or its data does not fit its type."""


class EventTypeUnknown(EventUnreadable):
    """No kind that is known here has an event of this type."""

    event_type = ""


class HandlerFailed(FerryError):
    """The domain's handler raised an error for an event."""


_new_item = tuple.__new__  # a NamedTuple's own constructor takes twice the time
_OTHER_DOMAIN = "run the projector with the domain that wrote this event (`--domain`)"


class Item(NamedTuple):
    """One new event: its place, its lane's head with it, and what it does to the tables."""

    partition: int
    offset: int
    lane: LaneId
    head: LaneHead
    changes: tuple[Change, ...]


class Segment(NamedTuple):
    """A stretch of one partition; `stopped` says why it goes no further, if it does not."""

    partition: int
    old_offset: int
    new_offset: int
    items: list[Item]
    stopped: FerryError | None = None
    tail: str = ""
    """SHA-256 in hex of the record just below `new_offset`; empty where that is not known."""


class Handler:
    """A domain's handlers over records: pure but for the lanes, which it moves."""

    def __init__(self, domain: Domain, lanes: LaneBook) -> None:
        self._lanes = lanes
        self._by_type = {
            name: (msgspec.json.Decoder(event).decode, kind.project)
            for name, (kind, event) in domain.by_type.items()
        }

    def segment(
        self,
        partition: int,
        old_offset: int,
        records: Sequence["ConsumerRecord[bytes, bytes]"],
        until: int | None,
    ) -> Segment:
        """Handle a partition's next records, up to the offset `until`, exclusive.

        A record that cannot be handled ends the segment before it, with the reason.
        """
        items: list[Item] = []
        add, admit, by_type = items.append, self._lanes.admit, self._by_type
        next_offset, last = old_offset, None
        reason: FerryError | None = None
        for record in records:
            offset = record.offset
            if until is not None and offset >= until:
                break
            try:
                admitted = admit(record)
            except FerryError as error:
                reason = error
                break
            if admitted is not None:
                event, check = admitted
                handler = by_type.get(event.type)
                if handler is not None:
                    decode, project = handler
                    try:
                        changes = project(decode(event.data))
                    except Exception as error:  # the domain's code: one event must not end us
                        reason = _unhandled(error, event.type, check, record)
                        break
                elif event.type.startswith(CONTROL_PREFIX):
                    changes = ()
                else:
                    reason = _unknown(event.type, check, record)
                    break
                add(_new_item(Item, (partition, offset, check.lane, check.head, changes)))
            next_offset, last = offset + 1, record
        tail = envelope.digest(last.value) if last is not None and last.value is not None else ""
        return Segment(partition, old_offset, next_offset, items, reason, tail)


def _unknown(
    event_type: str, check: LaneCheck, record: "ConsumerRecord[bytes, bytes]"
) -> EventTypeUnknown:
    reason = EventTypeUnknown(
        f"no kind has an event of type {event_type!r}",
        where=_place(check, record),
        remedy=_OTHER_DOMAIN,
    )
    reason.event_type = event_type
    return reason


def _unhandled(
    error: Exception, event_type: str, check: LaneCheck, record: "ConsumerRecord[bytes, bytes]"
) -> FerryError:
    where = _place(check, record)
    if isinstance(error, msgspec.MsgspecError):
        return EventUnreadable(
            f"an event's data does not fit its type {event_type!r}: {error}",
            where=where,
            remedy=_OTHER_DOMAIN,
        )
    return HandlerFailed(
        f"the handler of {event_type!r} failed: {error!r}",
        where=where,
        remedy="correct the handler (`domain`) and start the projector again",
    )


def _place(check: LaneCheck, record: "ConsumerRecord[bytes, bytes]") -> str:
    seq = check.head.seq
    return f"lane {check.lane}, seq {seq}, partition {record.partition}, offset {record.offset}"


def newest_heads(items: Iterable[Item]) -> dict[LaneId, LaneHead]:
    """Return for each lane the head behind its last item."""
    return {item.lane: item.head for item in items}
