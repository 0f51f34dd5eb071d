"""Events put aside in the transaction of their batch: what cannot be applied, what waits for it.

An event that cannot be read, handled or applied is kept with its reason; the later ones of its
stream wait behind it; lanes and checkpoint go on over both.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import psycopg

from projector.batch import Item, Recorded
from projector.checkpoint import Claim
from projector.lanes import open_record
from projector.sql import query
from schemas.errors import FerryError

_BEHIND = "waits behind an earlier event of its stream"


class ParkedEvent(NamedTuple):
    """One row of memferry.parked; `event` is the record's value."""

    partition: int
    offset: int
    source: str
    seq: int
    stream: str
    type: str
    event: bytes
    behind: bool
    reason: str
    place: str


class Parking:
    """The events that one transaction puts aside, and the streams that wait from then on."""

    def __init__(self, generation: int, streams: Iterable[str] = ()) -> None:
        self._generation = generation
        self.streams = dict.fromkeys(streams, -1)
        """Stream → offset of its first parked event; what stands before that is applied."""
        self.events: list[ParkedEvent] = []

    def free(self, items: list[Item]) -> list[Item]:
        """Return the items whose streams do not wait; the others are parked behind."""
        if not self.streams:
            return items
        found = []
        for item in items:
            _, event, _ = open_record(item[0])
            if self.streams.get(kept_text(event.subject), item[0].offset) < item[0].offset:
                self._add(item[0], _BEHIND, "", behind=True)
            else:
                found.append(item)
        return found

    def without_refused(self, items: list[Item], refused: Mapping[int, FerryError]) -> list[Item]:
        """Return the items that may be applied; those refused already, by offset, are parked."""
        if not refused:
            return self.free(items)
        found = []
        for item in items:
            error = refused.get(item[0].offset)
            free = self.free([item])
            if free and error is not None:
                self.refuse(item[0], error.what, error.where)
            else:
                found += free
        return found

    def refuse(self, record: Recorded, reason: str, where: str) -> None:
        """Park an event that cannot be applied; its stream waits from now on."""
        event = self._add(record, reason, where, behind=False)
        self.streams[event.stream] = min(self.streams.get(event.stream, event.offset), event.offset)

    def _add(self, record: Recorded, reason: str, where: str, *, behind: bool) -> ParkedEvent:
        value, event, seq = open_record(record)
        place = (
            f"lane {event.source}/g{self._generation}/p{record.partition}, seq {seq}, "
            f"partition {record.partition}, offset {record.offset}"
        )
        parked = ParkedEvent(
            record.partition, record.offset, event.source, seq, kept_text(event.subject),
            kept_text(event.type), value, behind, kept_text(reason),
            kept_text(f"{where}; {place}" if where else place),
        )  # fmt: skip
        self.events.append(parked)
        return parked

    def settle(self) -> None:
        """Say of each event behind a refused one that it waits, whichever was looked at first."""
        self.events = [
            event._replace(
                behind=True, reason=_BEHIND, place=event.place[event.place.rindex("lane ") :]
            )
            if not event.behind and self.streams[event.stream] < event.offset
            else event
            for event in self.events
        ]

    def keep(self, conn: psycopg.Connection[Any], projection: str) -> None:
        """Write the parked events, in the caller's transaction."""
        if self.events:
            columns = zip(*self.events, strict=True)
            names = ParkedEvent._fields
            conn.execute(
                query("parked_add"),
                {
                    "projection": projection,
                    "generation": self._generation,
                    **{name: list(values) for name, values in zip(names, columns, strict=True)},
                },
            )


def kept_text(text: str) -> str:
    """Return a text as it stands in memferry.parked: PostgreSQL keeps no NUL."""
    return text.replace("\0", "\ufffd")


class Waiting:
    """The streams that wait, of the partitions of a claim, as they are committed."""

    def __init__(self, conn: psycopg.Connection[Any], claim: Claim) -> None:
        rows = conn.execute(
            query("parked_streams"), (claim.projection.name, list(claim.offsets))
        ).fetchall()
        self.streams: dict[str, int] = dict(rows)
        """Stream → partition."""

    def of(self, partitions: Iterable[int]) -> set[str]:
        """Return the streams that wait in some partitions."""
        if not self.streams:
            return set()
        wanted = set(partitions)
        return {stream for stream, partition in self.streams.items() if partition in wanted}

    def committed(self, parking: Parking) -> None:
        """Take over what a transaction parked, once it is committed."""
        for event in parking.events:
            self.streams[event.stream] = event.partition


class ParkedRecord(NamedTuple):
    """A parked event as a record."""

    partition: int
    offset: int
    value: bytes
    topic: str


def parked_of(
    conn: psycopg.Connection[Any], claim: Claim, stream: str, partition: int
) -> list[ParkedRecord]:
    """Return a stream's parked events in their order, locked."""
    rows = conn.execute(
        query("parked_of_stream"), (claim.projection.name, partition, stream)
    ).fetchall()
    return [
        ParkedRecord(partition, offset, event, claim.projection.topic) for offset, event in rows
    ]


def settle_retry(
    conn: psycopg.Connection[Any], projection: str, records: list[ParkedRecord], parking: Parking
) -> None:
    """Remove what was applied, note anew why the rest stays, in the caller's transaction."""
    left = {event.offset: event for event in parking.events}
    gone = [record.offset for record in records if record.offset not in left]
    if gone:
        conn.execute(query("parked_remove"), (projection, records[0].partition, gone))
    if left:
        conn.execute(
            query("parked_update"),
            {
                "projection": projection,
                "partition": records[0].partition,
                "offset": list(left),
                "behind": [event.behind for event in left.values()],
                "reason": [event.reason for event in left.values()],
                "place": [event.place for event in left.values()],
            },
        )


def refusal_of(error: FerryError | psycopg.Error) -> tuple[str, str]:
    """Return what the tables said against an event, and where: table and key."""
    said = str(error.what if isinstance(error, FerryError) else error).strip()
    what = said.splitlines()[0] if said else type(error).__name__
    if isinstance(error, FerryError):
        return what, error.where
    detail = error.diag.message_detail or ""
    return what, f"table {error.diag.table_name or 'unknown'}{f' ({detail})' if detail else ''}"
