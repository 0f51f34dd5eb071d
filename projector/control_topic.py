"""The control topic read into PostgreSQL: sources, and decisions made here or in a database lost.

Read into an empty or older database, the topic brings the decisions again.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from projector.decisions import decision_lane, take_effect
from projector.lanes import RecordRefused, open_record
from projector.log import BrokerUnreachable, Log
from projector.sql import query
from schemas.control import (
    DECISIONS_SOURCE,
    BarrierPlaced,
    ControlEvent,
    KindDeclared,
    RolledBack,
    RolledForward,
    SnapshotCompleted,
    SourceOpened,
    SourceRetired,
    TailRestored,
    TailVoided,
    decode_control,
)
from schemas.lane import LaneCheck, LaneHead, genesis
from schemas.position import control_topic
from schemas.settings import Settings

_FETCH = 1_000


async def read_control(
    conn: psycopg.Connection[Any],
    settings: Settings,
    *,
    keep: bool = True,
    look: Callable[[], object] = lambda: None,
) -> set[str]:
    """Bring the control tables up to the end of the control topic; return the sources it names.

    Without `keep` the tables stay as they are: a dry run looks and leaves nothing behind. `look` is
    called while they are up to date, whether they stay so or not.
    Raises: LaneBroken where a control lane has a hole or was altered, BrokerUnreachable.
    """
    topic = control_topic(settings.topic)
    async with Log(settings, topic) as log:
        with conn.transaction(force_rollback=not keep):
            # Apart: whoever has the lock may be waiting for Kafka, or for this event loop.
            await asyncio.to_thread(conn.execute, query("control_lock"), (topic,))
            row = conn.execute(query("control_read"), (topic,)).fetchone()
            offset: int = row[0] if row else 0
            begun = offset
            checks = {
                source: LaneCheck(decision_lane(source), LaneHead(seq, digest, epoch))
                for source, seq, digest, epoch in conn.execute(query("control_lanes"), (topic,))
            }
            _, end = (await log.bounds())[0]
            await log.start_at({0: offset})
            heard = time.monotonic()
            while offset < end:
                for record in (await log.fetch(_FETCH, 500)).get(0, ()):
                    _read_one(conn, settings.topic, checks, record)
                    offset, heard = record.offset + 1, time.monotonic()
                if time.monotonic() - heard > settings.kafka.timeout_ms / 1000:
                    raise BrokerUnreachable(
                        f"the control topic gave no record for {settings.kafka.timeout_ms} ms",
                        where=f"topic {topic}, offset {offset} of {end}",
                        remedy="look at Kafka; nothing was changed",
                    )
            if offset != begun:  # else who may only read can look, too
                conn.execute(query("control_advance"), (topic, offset))
                for source, check in checks.items():
                    head = check.head
                    conn.execute(
                        query("control_lane_advance"),
                        (topic, source, head.seq, head.digest, head.epoch),
                    )
            sources = conn.execute(query("sources_read"), (settings.topic,)).fetchall()
            look()
        return {name for name, *_ in sources}


def _read_one(
    conn: psycopg.Connection[Any], base: str, checks: dict[str, LaneCheck], record: Any
) -> None:
    value, event, seq = open_record(record)
    check = checks.get(event.source)
    if check is None:
        lane = decision_lane(event.source)
        check = checks[event.source] = LaneCheck(lane, genesis(lane))
    if not check.admit(value, seq, event.epoch, event.chain, record.offset):
        return
    if event.source == DECISIONS_SOURCE:
        conn.execute(query("decision_add"), (control_topic(base), seq, value, True))
    where = f"topic {record.topic}, lane {check.lane}, seq {seq}, offset {record.offset}"
    try:
        control = decode_control(event.type, event.data)
    except (KeyError, msgspec.MsgspecError) as error:
        raise RecordRefused(
            f"a control record of type {event.type!r} cannot be read: {error}",
            where=where,
            remedy="run the memferry that wrote it, or a later one",
        ) from error
    _require_own(control, event.source, where)
    _apply(conn, base, control, seq, event.time)


def _require_own(event: ControlEvent, source: str, where: str) -> None:
    """Check that whoever voids something voids its own."""
    match event:
        case TailVoided():
            concerned = event.void.source
        case TailRestored():
            concerned = event.source
        case RolledBack() | RolledForward():
            concerned = "nobody: marks of voids stand in the data lanes"
        case _:
            return
    if concerned != source:
        raise RecordRefused(
            f"source {source!r} says what is void of {concerned}",
            where=where,
            remedy="a source voids ends of its own streams alone; find out who wrote this",
        )


def _apply(
    conn: psycopg.Connection[Any], topic: str, event: ControlEvent, seq: int, at: str
) -> None:
    match event:
        case SourceOpened():
            conn.execute(query("source_opened"), msgspec.structs.asdict(event) | {"at": at})
        case SnapshotCompleted():
            conn.execute(
                query("source_snapshot"), {"topic": topic, "source": event.source, "at": at}
            )
        case SourceRetired():
            conn.execute(
                query("source_retired"), {"topic": topic, "source": event.source, "at": at}
            )
        case TailVoided():
            void = event.void
            values = {"topic": topic, "id": void.id, "source": void.source, "at": at}
            told = {"actor": event.actor, "reason": event.reason}
            text = msgspec.json.encode(void).decode()
            conn.execute(query("void_add"), values | told | {"void": text})
        case TailRestored():
            conn.execute(
                query("void_restored"),
                {
                    "topic": topic, "id": event.void, "source": event.source, "at": at,
                    "actor": event.actor,
                },
            )  # fmt: skip
        case BarrierPlaced() | KindDeclared() | RolledBack() | RolledForward():
            return  # barriers are in the data lanes; kinds are read from the topic (declared.py)
        case _:
            take_effect(conn, topic, event, seq, at)
