"""Records of a fetch, admitted, decoded and handled: what one transaction will apply."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from aiokafka.structs import ConsumerRecord

from projector.effects import Changes, Effects, EventTypeUnknown
from projector.lanes import LaneBook, open_record
from schemas import envelope
from schemas.domain import Domain
from schemas.envelope import Envelope
from schemas.errors import FerryError
from schemas.lane import LaneCheck, LaneHead, LaneId


class Recorded(Protocol):
    """Where an event stands, and its bytes: a record of Kafka, or one that was parked."""

    @property
    def partition(self) -> int:
        """Of the topic."""

    @property
    def offset(self) -> int:
        """Within the partition."""

    @property
    def value(self) -> bytes | None:
        """The event's bytes."""


Item: TypeAlias = tuple[Recorded, Changes]
"""One new event and what it does to the tables."""


class Segment(NamedTuple):
    """A stretch of one partition; `stopped` says why it goes no further, if it does not."""

    partition: int
    old_offset: int
    new_offset: int
    items: list[Item]
    stopped: FerryError | None = None
    tail: str = ""
    """SHA-256 in hex of the record just below `new_offset`; empty where that is not known."""
    heads: dict[LaneId, LaneHead] = {}  # noqa: RUF012  (never changed)
    """Of each lane that went on, its head behind the last of these events."""
    refused: dict[int, FerryError] = {}  # noqa: RUF012  (never changed)
    """Offset → why the event there does nothing to the tables; it is among the items."""
    unknown: frozenset[str] = frozenset()
    """Event types that no kind here has."""
    newest: str = ""
    """When its last new event was recorded, as its envelope says."""


class Handler:
    """A domain's handlers over records: pure but for the lanes, which it moves."""

    def __init__(self, domain: Domain, lanes: LaneBook) -> None:
        self._lanes = lanes
        self._effects = Effects(domain)

    def segment(
        self,
        partition: int,
        old_offset: int,
        records: Sequence["ConsumerRecord[bytes, bytes]"],
        until: int | None,
    ) -> Segment:
        """Handle a partition's next records, up to the offset `until`, exclusive.

        A record that is not admitted to its lane ends the segment before it, with the reason. An
        event that cannot be read or handled is an item without changes, and named in `refused`. One
        that is void moves its lane, and is no item, whatever it is.
        """
        if until is not None and records and records[-1].offset >= until:
            records = [record for record in records if record.offset < until]
        items: list[Item] = []
        refused: dict[int, FerryError] = {}
        unknown: set[str] = set()
        checks: dict[LaneId, LaneCheck] = {}
        read, apply, lanes = self._effects.read, self._effects.apply, self._lanes
        add = items.append
        check: LaneCheck | None = None
        event: Envelope | None = None
        last, reason = None, None
        voids = lanes.voids
        may_be_void = False  # of this lane; as a rule of none, and then all that an event costs
        for record in records:
            whole = read(record.value)
            try:
                if whole is None:
                    admitted = lanes.admit(record)
                else:
                    admitted = lanes.admit_opened(record, record.value, whole, int(whole.seq))
            except FerryError as error:
                reason = error
                break
            last = record
            if admitted is None:
                continue
            event, its_check = admitted
            if its_check is not check:
                check = checks[its_check.lane] = its_check
                may_be_void = bool(voids) and (event.source, partition) in voids.lanes
            if may_be_void and voids.covers(event.source, partition, int(event.seq), event.subject):
                continue
            changes: Changes | None = None
            if whole is not None:
                try:
                    changes = apply(whole)
                except Exception:
                    changes = None  # looked at closely, to say what happened
            if changes is None:
                changes = self._closely(record, refused, unknown)
            add((record, changes))
        return Segment(
            partition,
            old_offset,
            old_offset if last is None else last.offset + 1,
            items,
            reason,
            "" if last is None or last.value is None else envelope.digest(last.value),
            {lane: check.head for lane, check in checks.items()},
            refused,
            frozenset(unknown),
            "" if event is None else event.time,
        )

    def _closely(
        self,
        record: "ConsumerRecord[bytes, bytes]",
        refused: dict[int, FerryError],
        unknown: set[str],
    ) -> Changes:
        _, event, _ = open_record(record)
        try:
            return self._effects.of(event)
        except EventTypeUnknown as error:
            unknown.add(event.type)
            refused[record.offset] = error
        except FerryError as error:
            refused[record.offset] = error
        return ()
