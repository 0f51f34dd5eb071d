"""What stands behind a position: the events that going back to it sets aside."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from aiokafka.structs import ConsumerRecord

from projector.control_tables import read_projection
from projector.log import Log
from projector.replay.distinct import Distinct
from projector.replay.instant import begin_before, parse_instant
from projector.replay.scan import NEAR, Bounds, Head, head_of, scan
from projector.replay.units import FirstSeen, SplitUnit, UnitSides
from projector.sql import query
from projector.voids import in_force
from schemas.control import CONTROL_PREFIX
from schemas.domain import Domain
from schemas.position import kafka_topic
from schemas.settings import Settings
from schemas.void import Voids

_NAMED = 20
"""So many streams, and units, are named; all are counted."""


class EventCount(msgspec.Struct, frozen=True):
    """Events of one type; `kind` is empty where the domain has none for it."""

    kind: str
    type: str
    events: int


class ParkedTouched(msgspec.Struct, frozen=True):
    """Parked events behind a position; `stay` counts the streams that are parked before it, too."""

    events: int = 0
    streams: int = 0
    stay: int = 0
    named: list[str] = []
    """The first of those that are touched."""


class Discarded(msgspec.Struct, frozen=True):
    """What going back to a position sets aside; names are the first of those that are counted.

    `records` are all that Kafka holds there; `events` those that count: first occurrences, that are
    the app's own, not void by now, and of the streams that were asked for.
    """

    records: int
    events: int
    kinds: list[EventCount]
    first_at: str | None
    last_at: str | None
    sources: dict[str, int]
    streams: int
    stream_names: list[str]
    snapshot_first: int
    """Streams whose first event there is their first snapshot: what they were before it is in no
    log, so nothing could go back to it."""
    snapshot_first_names: list[str]
    split_units: int
    splits: list[SplitUnit]
    parked: ParkedTouched
    void: int = 0
    """Events that are void already."""
    duplicates: int = 0
    unreadable: int = 0


async def discarded(  # noqa: PLR0917
    settings: Settings,
    domain: Domain,
    conn: psycopg.Connection[Any],
    position: Mapping[int, int],
    until: Mapping[int, int],
    streams: Collection[str] = (),
) -> Discarded:
    """Read the log from a position up to another, once; `streams` restricts what is set aside.

    Every unit that the cut splits is found, other than by clocks that differ: the part that is kept
    is looked for from the earliest time on that events of units behind the position bear.
    Memory is bounded: names and units are counted on disk.
    Raises: OffsetsGone, LogSilent, ProjectionMissing.
    """
    known = read_projection(conn, settings.projection or domain.name)
    voids = in_force(conn, known.topic, known.generation)
    tail = _Tail(domain, voids, position, frozenset(streams))
    async with Log(settings, kafka_topic(known.topic, known.generation)) as log:
        bounds = await log.bounds()
        before = {p: max(bounds[p][0], offset - NEAR) for p, offset in position.items()}
        try:
            async for partition, records in scan(log, before, until):
                tail.read(partition, records)
            await _read_kept(log, bounds, tail)
            return tail.result(_parked(conn, known.name, position, streams))
        finally:
            tail.close()


async def _read_kept(log: Log, bounds: Bounds, tail: "_Tail") -> None:
    """Look for the kept part of units further back than the records next to the position."""
    if tail.earliest is None:
        return
    begins = await begin_before(log, bounds, parse_instant(tail.earliest))
    near = {p: max(bounds[p][0], offset - NEAR) for p, offset in tail.position.items()}
    first = FirstSeen()
    async for partition, records in scan(log, begins, near):
        for record in records:
            head = head_of(record.value)
            if head is not None and first.admit(head.source, partition, head.seq):
                tail.keep(partition, record.offset, head)


class _Tail:
    """The count on its way."""

    def __init__(
        self,
        domain: Domain,
        voids: Voids,
        position: Mapping[int, int],
        streams: frozenset[str],
    ) -> None:
        self.position = position
        self.earliest: str | None = None
        """When the first unit behind the position was recorded."""
        self._kinds = {name: reader.kind.name for name, reader in domain.readers.items()}
        self._voids, self._wanted = voids, streams
        self._types: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._first = FirstSeen()
        self._times: tuple[str, str] | None = None
        self._streams, self._names = Distinct(), list[str]()
        self._snapshots, self._snapshot_names = 0, list[str]()
        self._sides = UnitSides()
        self._records = self._void = self._unreadable = self._duplicates = 0

    def read(self, partition: int, records: Sequence["ConsumerRecord[Any, Any]"]) -> None:
        """Take the next records of a partition, which may be kept ones next to the position."""
        cut = self.position[partition]
        for record in records:
            head = head_of(record.value)
            behind = record.offset >= cut
            self._records += behind
            if head is None:
                self._unreadable += behind
            elif not self._first.admit(head.source, partition, head.seq):
                self._duplicates += behind
            elif behind:
                self._behind(partition, record.offset, head)
            else:
                self.keep(partition, record.offset, head)

    def keep(self, partition: int, offset: int, head: Head) -> None:
        """Take an event that is kept."""
        if head.unit is not None and not self._is_void(partition, head):
            self._sides.add(head.unit, partition, offset, kept=True)

    def _behind(self, partition: int, offset: int, head: Head) -> None:
        if head.type.startswith(CONTROL_PREFIX):
            return
        if self._is_void(partition, head):
            self._void += 1
            return
        is_meant = not self._wanted or head.subject in self._wanted
        if head.unit is not None:
            self._sides.add(head.unit, partition, offset, kept=not is_meant)
            if is_meant and (self.earliest is None or head.time < self.earliest):
                self.earliest = head.time
        if is_meant:
            self._count(head)

    def _is_void(self, partition: int, head: Head) -> bool:
        return (head.source, partition) in self._voids.lanes and self._voids.covers(
            head.source, partition, head.seq, head.subject
        )

    def _count(self, head: Head) -> None:
        self._types[head.type] += 1
        self._sources[head.source] += 1
        at = head.time
        if self._times is None:
            self._times = (at, at)
        elif not self._times[0] <= at <= self._times[1]:
            self._times = (min(self._times[0], at), max(self._times[1], at))
        if self._streams.add(head.subject):
            # What memory does not know any more is no second snapshot: a stream has but one first.
            if head.snapshot:
                self._snapshots += 1
                _name(self._snapshot_names, head.subject)
            _name(self._names, head.subject)

    def result(self, parked: ParkedTouched) -> Discarded:
        """Return what was found."""
        splits: list[SplitUnit] = []
        split = 0
        for one in self._sides.split():
            split += 1
            if len(splits) < _NAMED:
                splits.append(one)
        kinds = [EventCount(self._kinds.get(t, ""), t, n) for t, n in self._types.items()]
        first, last = self._times or (None, None)
        return Discarded(
            records=self._records, events=self._types.total(),
            kinds=sorted(kinds, key=lambda one: (one.kind, one.type)),
            first_at=first, last_at=last, sources=dict(sorted(self._sources.items())),
            streams=self._streams.count(), stream_names=self._names,
            snapshot_first=self._snapshots, snapshot_first_names=self._snapshot_names,
            split_units=split, splits=splits, parked=parked, void=self._void,
            duplicates=self._duplicates, unreadable=self._unreadable,
        )  # fmt: skip

    def close(self) -> None:
        """Forget everything."""
        self._sides.close()
        self._streams.close()


def _name(names: list[str], name: str) -> None:
    if len(names) < _NAMED and name not in names:
        names.append(name)


def _parked(
    conn: psycopg.Connection[Any],
    projection: str,
    position: Mapping[int, int],
    streams: Collection[str],
) -> ParkedTouched:
    rows = conn.execute(
        query("parked_touched"),
        {
            "projection": projection,
            "partitions": list(position),
            "offsets": list(position.values()),
            "streams": list(streams),
        },
    ).fetchall()
    touched = [(stream, events) for stream, events, _ in rows if events]
    return ParkedTouched(
        sum(events for _, events in touched),
        len(touched),
        sum(1 for *_, before in rows if before),
        [stream for stream, _ in touched[:_NAMED]],
    )
