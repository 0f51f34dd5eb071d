"""What PostgreSQL decides: made in one transaction with its place in the control topic's lane.

Each decision is a row of a control outbox written in the decider's transaction, and is published
behind it. Where reads go changes only once Kafka has the decision: a database that is lost in
between has never told anybody.
"""

import asyncio
import datetime
import time
from typing import Any, assert_never

import msgspec
import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from projector.log import BrokerUnreachable
from projector.sql import query
from schemas import envelope
from schemas.control import (
    CONTROL_TYPE_OF,
    DECISIONS_SOURCE,
    Decision,
    LaneMended,
    ReadsSwitched,
    SavepointDropped,
    SavepointTaken,
    SwitchAborted,
    decode_control,
)
from schemas.identity import new_id
from schemas.kafka_client import client_options
from schemas.lane import CONTROL_PARTITION, LaneId, genesis
from schemas.position import FIRST_GENERATION, control_topic
from schemas.settings import Settings


def decision_lane(source: str) -> LaneId:
    """Return a source's lane in the control topic."""
    return LaneId(source, FIRST_GENERATION, CONTROL_PARTITION)


def decide(conn: psycopg.Connection[Any], settings: Settings, event: Decision) -> bool:
    """Make a decision in the caller's transaction, with its place in the control outbox.

    Returns: False where it was decided before: a savepoint's name is used, or it is dropped.
    """
    topic = control_topic(settings.topic)
    conn.execute(query("control_lock"), (topic,))
    at = datetime.datetime.now(datetime.UTC).isoformat()
    if isinstance(event, SavepointTaken) and not _take_savepoint(conn, event, at):
        return False
    if isinstance(event, SavepointDropped) and not _drop_savepoint(conn, event, at):
        return False
    about = event.topic if isinstance(event, LaneMended) else event.projection
    newest = conn.execute(query("decision_newest"), (topic,)).fetchone()
    seq = newest[0] + 1 if newest else 1
    chain = (
        envelope.digest(bytes(newest[1]))
        if newest
        else genesis(decision_lane(DECISIONS_SOURCE)).digest
    )
    writer = envelope.HeadWriter(DECISIONS_SOURCE, CONTROL_TYPE_OF[type(event)])
    head = writer.head(f"{DECISIONS_SOURCE}/{about}", new_id(), time.time_ns())
    sealed = envelope.seal(head, msgspec.json.encode(event), seq, 1, chain)
    conn.execute(query("decision_add"), (topic, seq, sealed, False))
    if isinstance(event, LaneMended):
        _mend(conn, event, seq)
    return True


def take_effect(
    conn: psycopg.Connection[Any], topic: str, event: Decision, seq: int, at: str
) -> None:
    """Bring what follows from a decision that is in the control topic into the control tables."""
    match event:
        case SavepointTaken():
            _take_savepoint(conn, event, at)
        case SavepointDropped():
            _drop_savepoint(conn, event, at)
        case ReadsSwitched():
            conn.execute(
                query("route_switch"),
                {
                    "projection": event.projection,
                    "route": event.route,
                    "epoch": event.epoch,
                    "decision": seq,
                    "at": at,
                    "actor": event.actor,
                },
            )
            conn.execute(query("epoch_at_least"), {"topic": topic, "epoch": event.epoch})
        case SwitchAborted():
            conn.execute(query("epoch_at_least"), {"topic": topic, "epoch": event.epoch})
        case LaneMended():
            _mend(conn, event, seq)
        case _:
            assert_never(event)


def _mend(conn: psycopg.Connection[Any], event: LaneMended, seq: int) -> None:
    mend = event.mend
    conn.execute(
        query("mend_add"),
        {
            "topic": event.topic, "generation": mend.generation, "decision": seq,
            "source": mend.source, "partition": mend.partition, "at": mend.at,
            "mend": msgspec.json.encode(mend).decode(),
        },
    )  # fmt: skip


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
            "purpose": event.purpose,
            "note": event.note,
        },
    ).fetchone()
    return taken is not None


def _drop_savepoint(conn: psycopg.Connection[Any], event: SavepointDropped, at: str) -> bool:
    values = {"projection": event.projection, "name": event.name, "at": at}
    return conn.execute(query("savepoint_drop"), values).fetchone() is not None


async def publish_decisions(conn: psycopg.Connection[Any], settings: Settings) -> int:
    """Send decisions that the control topic may not hold yet; return how many.

    Sent twice after a crash, they are duplicates in their lane and skipped.
    """
    topic = control_topic(settings.topic)
    waiting = conn.execute(query("decision_unpublished"), (topic,)).fetchall()
    if not waiting:
        return 0
    timeout_s = settings.kafka.timeout_ms / 1000
    producer = AIOKafkaProducer(**client_options(settings), enable_idempotence=True, acks="all")
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
                _note_published(conn, settings.topic, seq, bytes(event))
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachable(
            f"a decision is made but not published yet: {str(error) or type(error).__name__}",
            where=settings.kafka.bootstrap,
            remedy="start Kafka; the projector publishes it when it starts",
        ) from error
    finally:
        await asyncio.wait_for(producer.stop(), timeout_s)
    return len(waiting)


def _note_published(conn: psycopg.Connection[Any], topic: str, seq: int, event: bytes) -> None:
    opened = envelope.decode(event)
    decision = decode_control(opened.type, opened.data)
    with conn.transaction():
        conn.execute(query("decision_published"), (control_topic(topic), seq))
        if isinstance(decision, ReadsSwitched):
            take_effect(conn, topic, decision, seq, opened.time)
