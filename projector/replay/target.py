"""Where a replay goes: resolved to offsets, and refused where the log has no such place."""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import psycopg

from projector.control_tables import Projection, read_projection
from projector.log import Log
from projector.replay.event_cut import EventUnknown, cut_at_event, find_event
from projector.replay.instant import cut_at, parse_instant
from projector.replay.scan import Bounds
from projector.replay.units import SplitUnit, units_split
from projector.sql import query
from schemas.errors import FerryError
from schemas.position import PositionInvalid, format_offsets, parse_offsets
from schemas.settings import Settings

__all__ = ["EventUnknown", "Resolved", "SavepointUnknown", "Target", "TargetUnclear", "resolve"]


class SavepointUnknown(FerryError):
    """There is no savepoint of that name."""


class SavepointForeign(FerryError):
    """The savepoint is of another generation of the topic: its offsets mean nothing in this one."""


class TargetUnclear(FerryError):
    """No target was named, or several."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the log as somebody says it: exactly one of these."""

    offset: str | None = None
    """Exclusive offsets of all partitions, `0:120,1:98`; a number where there is one partition."""
    time: str | None = None
    """RFC 3339 with a zone, or `-15m`: before the first event that was recorded then or later."""
    event: str | None = None
    """The id of an event: just behind it."""
    before_event: str | None = None
    """The id of an event: just before it."""
    savepoint: str | None = None
    end: bool = False
    """Everything that the log holds now."""

    def __post_init__(self) -> None:
        if len(self.given) != 1:
            named = ", ".join(self.given) or "none"
            raise TargetUnclear(
                f"exactly one target is wanted; named: {named}",
                where="the target",
                remedy=f"name one of {', '.join(self.__struct_fields__)}",
            )

    @property
    def given(self) -> list[str]:
        """The names of what is given."""
        return [name for name in self.__struct_fields__ if getattr(self, name) not in {None, False}]


class Resolved(msgspec.Struct, frozen=True):
    """A target as a position: partition → exclusive offset."""

    position: dict[int, int]
    said: str
    """What it was said by, for people and for the record."""
    split_units: list[SplitUnit] = []
    """Units of which the position keeps a part, of those near it."""


async def resolve(
    settings: Settings,
    conn: psycopg.Connection[Any],
    log: Log,
    projection: str,
    target: Target,
    *,
    splits: bool = True,
) -> Resolved:
    """Return the position that is meant; `splits`: look also for units that it splits.

    `log` is open on the projection's topic, and reads from elsewhere afterwards.
    Raises: PositionInvalid with the nearest valid position; EventUnknown; SavepointUnknown, naming
            those there are; SavepointForeign.
    """
    known = read_projection(conn, projection)
    bounds = await log.bounds()
    position, said = await _resolve(conn, log, known, target, bounds)
    _require_within(position, bounds, log.topic)
    split = [] if target.end or not splits else await units_split(log, bounds, position)
    return Resolved(position, said, split)


class _Place(NamedTuple):
    position: dict[int, int]
    said: str


async def _resolve(
    conn: psycopg.Connection[Any], log: Log, known: Projection, target: Target, bounds: Bounds
) -> _Place:
    if target.offset is not None:
        position = parse_offsets(target.offset, len(bounds))
        return _Place(position, f"offsets {format_offsets(position)}")
    if target.time is not None:
        return await _at_time(log, bounds, target.time)
    if target.event is not None or target.before_event is not None:
        return await _at_event(log, bounds, target)
    if target.savepoint is not None:
        return _Place(_savepoint(conn, known, target.savepoint), f"savepoint {target.savepoint}")
    return _Place({p: end for p, (_, end) in bounds.items()}, "the log's end")


async def _at_time(log: Log, bounds: Bounds, text: str) -> _Place:
    now = datetime.datetime.now(datetime.UTC)
    at = parse_instant(text, now)
    if at.ms > now.timestamp() * 1_000:
        raise PositionInvalid(
            f"{at} is yet to come",
            where=text,
            remedy="the nearest position is the log's present end: --to-end",
        )
    return _Place(await cut_at(log, bounds, at), f"time {at}")


async def _at_event(log: Log, bounds: Bounds, target: Target) -> _Place:
    before = target.event is None
    event = await find_event(log, bounds, target.event or target.before_event or "")
    cut = await cut_at_event(log, bounds, event, before=before)
    said = f"{'before' if before else 'behind'} event {event}"
    if cut.others:
        one = "the other event" if cut.others == 1 else f"the other {cut.others:,} events"
        said += f", with {one} of its unit"
    return _Place(cut.position, said)


def _savepoint(conn: psycopg.Connection[Any], known: Projection, name: str) -> dict[int, int]:
    found = {row[0]: row[1:] for row in conn.execute(query("target_savepoints"), (known.name,))}
    if name not in found:
        names = ", ".join(found) or "none was taken yet"
        raise SavepointUnknown(
            f"there is no savepoint {name!r}",
            where=f"projection {known.name}",
            remedy=f"savepoints: {names}",
        )
    generation, offsets = found[name]
    if generation != known.generation:
        raise SavepointForeign(
            f"savepoint {name!r} is of generation {generation} of the topic, the projection reads "
            f"generation {known.generation}",
            where=f"projection {known.name}",
            remedy="its offsets mean nothing here; name a time: --to-time",
        )
    return {int(partition): offset for partition, offset in offsets.items()}


def _require_within(position: Mapping[int, int], bounds: Bounds, topic: str) -> None:
    """Check that a position names every partition, at a place that the topic holds."""
    if position.keys() != bounds.keys():
        raise PositionInvalid(
            f"the position names the partitions {sorted(position)}, the topic has {sorted(bounds)}",
            where=f"topic {topic}",
            remedy="name each of the topic's partitions once",
        )
    nearest = {p: min(max(offset, bounds[p][0]), bounds[p][1]) for p, offset in position.items()}
    wrong = [p for p in position if position[p] != nearest[p]]
    if wrong:
        partition = wrong[0]
        start, end = bounds[partition]
        raise PositionInvalid(
            f"offset {position[partition]} is outside partition {partition}, which holds "
            f"{start} to {end}",
            where=f"topic {topic}",
            remedy=f"the nearest position is --to-offset {format_offsets(nearest)}",
        )
