"""Mends decided: a damaged place of the log no longer stops its lane, now or at any replay."""

import time
from typing import Any

import msgspec
import psycopg
from aiokafka.structs import ConsumerRecord

from projector.control_tables import Projection, read_projection
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.lanes import open_record
from projector.log import Log
from projector.mending.damage import NotMendable, Proposal, propose, stops_at, stops_at_once
from projector.mends import read_mends
from projector.sql import query
from projector.trail import actor, note
from schemas.control import LaneMended
from schemas.errors import FerryError
from schemas.lane import LaneHead, LaneId
from schemas.mend import Mend
from schemas.position import kafka_topic
from schemas.settings import Settings

_LOOKED_AT = 10_000
"""Records behind the place: enough to see what a lane goes on with."""


class NothingToMend(FerryError):
    """The partition does not stand still, or not for a damage of the log."""


class Stopped(msgspec.Struct, frozen=True):
    """A partition that stands still: why, and what would let it go on."""

    partition: int
    offset: int
    reason: str
    proposals: list[Proposal]
    not_mendable: str = ""


async def stopped_partitions(
    conn: psycopg.Connection[Any], settings: Settings, name: str
) -> list[Stopped]:
    """Return the partitions of a projection that stand still, each with what would mend it."""
    place = await _Place.of(conn, settings, name)
    rows = conn.execute(query("checkpoint_stopped"), (name,)).fetchall()
    return [await place.look(partition, offset, reason) for partition, offset, reason in rows]


async def mend(
    conn: psycopg.Connection[Any],
    settings: Settings,
    name: str,
    partition: int,
    *,
    reason: str,
    by_hand: Mend | None = None,
) -> list[Proposal]:
    """Decide what is proposed for a partition, or what is given by hand; return what was decided.

    `by_hand` needs only `ignore` and `continue_at`: what stands before the record is read from it.
    Raises: NothingToMend, NotMendable before anything is changed; BrokerUnreachable where it is
            decided but not yet in the control topic.
    """
    place = await _Place.of(conn, settings, name)
    row = conn.execute(query("checkpoint_place"), (name, partition)).fetchone()
    if row is None or not row[1]:
        raise NothingToMend(
            f"partition {partition} of projection {name!r} does not stand still",
            where="memferry.checkpoint",
            remedy="`memferry mend` lists the partitions that do",
        )
    offset, said = row
    if by_hand is None:
        proposals = await place.proposals(partition, offset)
    else:
        proposals = [await place.by_hand(partition, offset, by_hand, said)]
    if not proposals:
        raise NothingToMend(
            f"no damage of the log stops partition {partition}",
            where=f"offset {offset}: {said}",
            remedy="do what the error says; a projector that starts tries again",
        )
    with conn.transaction():
        now = conn.execute(query("checkpoint_place_lock"), (name, partition)).fetchone()
        if now != row or read_mends(conn, settings.topic) != place.mends:
            raise NothingToMend(
                f"partition {partition} went on from offset {offset}, or was mended, meanwhile",
                where="memferry.checkpoint, memferry.mend",
                remedy="look again: `memferry mend`",
            )
        for proposal in proposals:
            event = LaneMended(settings.topic, proposal.mend, proposal.error, reason, actor())
            decide(conn, settings, event)
            note(conn, "mend", {"offset": offset, "stopped": said}, event)
        conn.execute(query("projection_notify"), (name,))
    await publish_decisions(conn, settings)
    return proposals


def _require_behind(given: Mend, partition: int, offset: int) -> None:
    """Refuse what only a replay would obey: the tables would not be what a replay makes of them."""
    applied = [one for one in given.ignore if one < offset]
    if applied:
        raise NotMendable(
            f"offsets {applied} were passed already: they cannot be ignored any more",
            where=f"partition {partition}, stopped at offset {offset}",
            remedy="continue behind them: `memferry mend` proposes where",
        )


class _Place:
    """A projection's log as it stands behind its checkpoints."""

    def __init__(
        self, conn: psycopg.Connection[Any], settings: Settings, projection: Projection,
        sources: set[str],
    ) -> None:  # fmt: skip
        self._conn = conn
        self._settings = settings
        self._projection = projection
        self._sources = sources
        self.mends = read_mends(conn, settings.topic)

    @classmethod
    async def of(cls, conn: psycopg.Connection[Any], settings: Settings, name: str) -> "_Place":
        projection = read_projection(conn, name)
        return cls(conn, settings, projection, await read_control(conn, settings))

    async def look(self, partition: int, offset: int, reason: str) -> Stopped:
        try:
            found = await self.proposals(partition, offset)
        except NotMendable as error:
            return Stopped(partition, offset, reason, [], str(error))
        return Stopped(partition, offset, reason, found)

    async def proposals(self, partition: int, offset: int) -> list[Proposal]:
        records, known = await self._behind(partition, offset)
        return propose(records, *known)

    async def by_hand(self, partition: int, offset: int, given: Mend, said: str) -> Proposal:
        records, (generation, heads, sources, mends) = await self._behind(partition, offset)
        if stops_at(records, generation, heads, sources, mends) is None:
            raise NothingToMend(
                f"nothing of the log stops partition {partition} any more",
                where=f"partition {partition}, offset {offset}, and the mends decided",
                remedy="start a projector, if none runs",
            )
        _require_behind(given, partition, offset)
        made = Mend(generation, partition, offset, ignore=given.ignore)
        at = given.continue_at
        if at is not None:
            record = next((r for r in records if r.offset == at), None)
            if record is None:
                raise NotMendable(
                    f"there is no record at offset {at} to go on with",
                    where=f"partition {partition}, {_LOOKED_AT} records from offset {offset}",
                    remedy="name the offset of a record behind the place",
                )
            _, event, seq = open_record(record)
            known = heads.get(LaneId(event.source, generation, partition))
            if known is not None and seq <= known.seq:
                raise NotMendable(
                    f"event {seq} was applied already: the lane would go back",
                    where=f"partition {partition}, offset {at}",
                    remedy="name the offset of a record whose event comes later",
                )
            head = LaneHead(seq - 1, event.chain, event.epoch)
            made = msgspec.structs.replace(made, source=event.source, continue_at=at, head=head)
        stop = stops_at(records, generation, heads, sources, [*mends, made])
        if stop is not None and stops_at_once(records, *stop, max(offset, *given.ignore, at or 0)):
            raise NotMendable(
                f"the partition would still stop there: {stop[1].what}",
                where=stop[1].where,
                remedy="`memferry mend` proposes what would let it go on",
            )
        return Proposal(made, said, "as it was given by hand")

    async def _behind(self, partition: int, offset: int) -> tuple[list[Any], Any]:
        topic = kafka_topic(self._settings.topic, self._projection.generation)
        records: list[ConsumerRecord[Any, Any]] = []
        async with Log(self._settings, topic) as log:
            _, end = (await log.bounds())[partition]
            await log.start_at({partition: offset})
            heard = time.monotonic()
            patience_s = self._settings.kafka.timeout_ms / 1000
            while len(records) < _LOOKED_AT and (not records or records[-1].offset + 1 < end):
                records += (await log.fetch(_LOOKED_AT, 200)).get(partition, ())
                if offset >= end or time.monotonic() - heard > patience_s:
                    break
        generation = self._projection.generation
        rows = self._conn.execute(
            query("lanes_claimed"), (self._projection.name, generation, [partition])
        ).fetchall()
        heads = {LaneId(s, generation, p): LaneHead(*head) for s, p, *head in rows}
        return records, (generation, heads, self._sources, self.mends)
