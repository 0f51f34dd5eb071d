"""The control topic and PostgreSQL: sources and decisions, read in and published.

PostgreSQL decides; each decision is a row of a control outbox written in its transaction, and is
then published. Read back into an empty or older database, the topic brings the decisions again.
"""

import asyncio
import datetime
import time
from typing import Any

import msgspec
import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from projector.lanes import RecordRefused, open_record
from projector.log import BrokerUnreachable, Log
from projector.sql import query
from schemas import envelope
from schemas.control import (
    CONTROL_TYPE_OF,
    DECISIONS_SOURCE,
    ControlEvent,
    SavepointTaken,
    SnapshotCompleted,
    SourceOpened,
    SourceRetired,
    decode_control,
)
from schemas.identity import new_id
from schemas.lane import CONTROL_PARTITION, LaneCheck, LaneHead, LaneId, genesis
from schemas.position import FIRST_GENERATION, control_topic
from schemas.settings import Settings

_FETCH = 1_000


async def read_control(conn: psycopg.Connection[Any], settings: Settings) -> set[str]:
    """Bring the control tables up to the end of the control topic; return the sources it names.

    Raises: LaneBroken where a control lane has a hole or was altered, BrokerUnreachable.
    """
    topic = control_topic(settings.topic)
    async with Log(settings, topic) as log:
        with conn.transaction():
            # Apart: whoever has the lock may be waiting for Kafka, or for this event loop.
            await asyncio.to_thread(conn.execute, query("control_lock"), (topic,))
            row = conn.execute(query("control_read"), (topic,)).fetchone()
            offset: int = row[0] if row else 0
            checks = {
                source: LaneCheck(_lane(source), LaneHead(seq, digest, epoch))
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
            conn.execute(query("control_advance"), (topic, offset))
            for source, check in checks.items():
                head = check.head
                conn.execute(
                    query("control_lane_advance"),
                    (topic, source, head.seq, head.digest, head.epoch),
                )
        return {name for name, *_ in conn.execute(query("sources_read"), (settings.topic,))}


def _lane(source: str) -> LaneId:
    return LaneId(source, FIRST_GENERATION, CONTROL_PARTITION)


def _read_one(
    conn: psycopg.Connection[Any], base: str, checks: dict[str, LaneCheck], record: Any
) -> None:
    value, event, seq = open_record(record)
    check = checks.get(event.source)
    if check is None:
        lane = _lane(event.source)
        check = checks[event.source] = LaneCheck(lane, genesis(lane))
    if not check.admit(value, seq, event.epoch, event.chain, record.offset):
        return
    if event.source == DECISIONS_SOURCE:
        conn.execute(query("decision_add"), (control_topic(base), seq, value, True))
    try:
        control = decode_control(event.type, event.data)
    except (KeyError, msgspec.MsgspecError) as error:
        raise RecordRefused(
            f"a control record of type {event.type!r} cannot be read: {error}",
            where=f"topic {record.topic}, lane {check.lane}, seq {seq}, offset {record.offset}",
            remedy="run the memferry that wrote it, or a later one",
        ) from error
    _apply(conn, base, control, event.time)


def _apply(conn: psycopg.Connection[Any], topic: str, event: ControlEvent, at: str) -> None:
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
        case SavepointTaken():
            _take_savepoint(conn, event, at)


def _take_savepoint(conn: psycopg.Connection[Any], event: SavepointTaken, at: str) -> bool:
    taken = conn.execute(
        query("savepoint_take"),
        {
            "name": event.name,
            "projection": event.projection,
            "generation": event.generation,
            "offsets": msgspec.json.encode(event.offsets).decode(),
            "at": at,
            "actor": event.actor,
        },
    ).fetchone()
    return taken is not None


def decide(conn: psycopg.Connection[Any], settings: Settings, event: SavepointTaken) -> bool:
    """Make a decision in the caller's transaction, with its place in the control outbox.

    Returns: False where it was decided before: a savepoint of that name exists.
    """
    topic = control_topic(settings.topic)
    conn.execute(query("control_lock"), (topic,))
    if not _take_savepoint(conn, event, datetime.datetime.now(datetime.UTC).isoformat()):
        return False
    newest = conn.execute(query("decision_newest"), (topic,)).fetchone()
    seq = newest[0] + 1 if newest else 1
    chain = envelope.digest(bytes(newest[1])) if newest else genesis(_lane(DECISIONS_SOURCE)).digest
    writer = envelope.HeadWriter(DECISIONS_SOURCE, CONTROL_TYPE_OF[type(event)])
    head = writer.head(f"{DECISIONS_SOURCE}/{event.projection}", new_id(), time.time_ns())
    sealed = envelope.seal(head, msgspec.json.encode(event), seq, 1, chain)
    conn.execute(query("decision_add"), (topic, seq, sealed, False))
    return True


async def publish_decisions(conn: psycopg.Connection[Any], settings: Settings) -> int:
    """Send decisions that the control topic may not hold yet; return how many.

    Sent twice after a crash, they are duplicates in their lane and skipped.
    """
    topic = control_topic(settings.topic)
    waiting = conn.execute(query("decision_unpublished"), (topic,)).fetchall()
    if not waiting:
        return 0
    timeout_s = settings.kafka.timeout_ms / 1000
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap, enable_idempotence=True, acks="all"
    )
    try:
        async with asyncio.timeout(timeout_s):
            await producer.start()
            for seq, event in waiting:
                await producer.send_and_wait(
                    topic,
                    bytes(event),
                    key=DECISIONS_SOURCE.encode(),
                    partition=0,
                    headers=[("content-type", envelope.CONTENT_TYPE)],
                )
                conn.execute(query("decision_published"), (topic, seq))
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachable(
            f"a decision is made but not published yet: {str(error) or type(error).__name__}",
            where=settings.kafka.bootstrap,
            remedy="start Kafka; the projector publishes it when it starts",
        ) from error
    finally:
        await asyncio.wait_for(producer.stop(), timeout_s)
    return len(waiting)
