"""What a paced stream takes from a producer to a visible row with nothing of ours between.

aiokafka sends each event by itself, at once; aiokafka fetches; one INSERT a fetch brings its rows
to a table, and commits. No outbox, no fsync before Kafka, no lane, no checkpoint.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from psycopg import sql

from schemas.position import FIRST_GENERATION, kafka_topic
from tests.benchmarks.live_app import Work
from tests.benchmarks.workload import trade_events

_INSERT = """
INSERT INTO {table} (trade_id, event)
SELECT r.v ->> 'trade_id', r.v FROM json_array_elements(%s::json) AS r (v)
ON CONFLICT (trade_id) DO UPDATE SET event = excluded.event
"""


async def _send(work: Work, topic: str, sent: list[float]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=work.settings.kafka.bootstrap)
    await producer.start()
    encode = msgspec.json.encode
    try:
        begun, number, last = time.monotonic(), 0, None
        events: Iterator[Any] = trade_events(work.events)
        while number < work.events:
            due = min(work.events, int((time.monotonic() - begun) * work.rate) + 1)
            while number < due:
                event = next(events)
                sent.append(time.monotonic())
                key = event.trade_id.encode()
                last = await producer.send(topic, encode(event), key, partition=0)
                number += 1
            await asyncio.sleep(max(0.0, begun + number / work.rate - time.monotonic()))
        assert last is not None
        await last
    finally:
        await producer.stop()


async def bare(work: Work) -> list[float]:
    """Return the seconds from each event's sending until a committed row shows it.

    The topic is there, empty.
    """
    topic = kafka_topic(work.settings.topic, FIRST_GENERATION)
    sent: list[float] = []
    taken: list[float] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=work.settings.kafka.bootstrap, auto_offset_reset="earliest",
        enable_auto_commit=False,
    )  # fmt: skip
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    conn = await psycopg.AsyncConnection.connect(work.settings.postgres.dsn, autocommit=True)
    table = sql.Identifier(work.settings.topic)
    await conn.execute(
        sql.SQL("CREATE TABLE {} (trade_id text PRIMARY KEY, event json)").format(table)
    )
    insert = sql.SQL(_INSERT).format(table=table)
    sending = asyncio.create_task(_send(work, topic, sent))
    try:
        while len(taken) < work.events:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                newest = {record.key: record.value for record in records}
                await conn.execute(insert, ((b"[" + b",".join(newest.values()) + b"]").decode(),))
                now = time.monotonic()
                taken += [now - at for at in sent[len(taken) : len(taken) + len(records)]]
        await sending
    finally:
        await consumer.stop()
        await conn.close()
    return taken


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(bare(wanted))))
