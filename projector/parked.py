"""What is parked, for those who ask: operators, the audit, the gate of a cutover.

Source: docs/parking.md
"""

import datetime
from typing import Any

import msgspec
import psycopg

from projector.sql import query
from schemas.errors import FerryError

_NAMED = 3


class NothingParked(FerryError):
    """No such stream or event is parked."""


class EventsParked(FerryError):
    """Streams wait behind parked events, where all must be in the tables."""


class ParkedStream(msgspec.Struct, frozen=True):
    """A stream that waits; `events` counts the first, which could not be applied, and those behind.

    `record_offset`, `type`, `reason` and `place` are of the first.
    """

    stream: str
    partition: int
    events: int
    record_offset: int
    since: datetime.datetime
    type: str
    reason: str
    place: str


class ParkedRow(msgspec.Struct, frozen=True):
    """One parked event; `event` is the record's value, the whole envelope."""

    partition: int
    record_offset: int
    source: str
    generation: int
    seq: int
    stream: str
    type: str
    behind: bool
    """Nothing is wrong with it but that an earlier event of its stream is parked."""
    reason: str
    place: str
    parked_at: datetime.datetime
    event: msgspec.Raw


def parked_streams(conn: psycopg.Connection[Any], projection: str) -> list[ParkedStream]:
    """Return the streams that wait, the longest first."""
    rows = conn.execute(query("parked_list"), (projection,)).fetchall()
    return [ParkedStream(*row) for row in rows]


def parked_events(
    conn: psycopg.Connection[Any], projection: str, named: str, limit: int
) -> list[ParkedRow]:
    """Return the parked events of a stream, or those at an offset: `PARTITION:OFFSET` or `OFFSET`.

    Raises: NothingParked.
    """
    partition, offset = _as_offset(named)
    values = {"projection": projection, "stream": named, "partition": partition, "offset": offset}
    rows = conn.execute(query("parked_events"), values | {"limit": limit}).fetchall()
    if not rows:
        raise NothingParked(
            f"nothing is parked under {named!r}",
            where=f"projection {projection}",
            remedy="`memferry parked list` shows the streams that wait; name one of them, or an "
            "offset as PARTITION:OFFSET",
        )
    return [ParkedRow(*(*row[:-1], msgspec.Raw(row[-1]))) for row in rows]


def require_nothing_parked(conn: psycopg.Connection[Any], projection: str, why: str) -> None:
    """Check that no stream waits; `why` says what that would spoil.

    Raises: EventsParked, naming how many, the first streams and the command.
    """
    events, streams = conn.execute(query("parked_count"), (projection,)).fetchone() or (0, 0)
    if not events:
        return
    first = [parked.stream for parked in parked_streams(conn, projection)[:_NAMED]]
    more = f" and {streams - len(first):,} more" if streams > len(first) else ""
    raise EventsParked(
        f"{events:,} events of {streams:,} streams are parked ({', '.join(first)}{more}): {why}",
        where=f"projection {projection}, memferry.parked",
        remedy="`memferry parked list` says why; mend it, then `memferry parked retry --all`",
    )


def _as_offset(named: str) -> tuple[int | None, int | None]:
    partition, colon, offset = named.rpartition(":")
    if not offset.isdecimal() or not (partition.isdecimal() or not colon):
        return None, None
    return (int(partition) if colon else None), int(offset)
