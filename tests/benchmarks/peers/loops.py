"""The peer that anybody writes first: poll, decode, `executemany`, commit; in a process of its own.

It is given every help: no lane is checked, no event is proven to be there once, psycopg's pipeline
sends the statements, and each batch goes in two of them, inserts before updates, which happens to
be right for these events. A duplicate is harmless, since both statements may be done twice.
"""

import asyncio
import sys
import time
from collections.abc import Iterable
from typing import Any

import confluent_kafka
import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import astuple
from psycopg import sql

from schemas.envelope import Envelope
from schemas.trading.trades import (
    TRADES,
    TradeOpened,
    TradePartiallyFilled,
    _fill_patch,
    _opened,
)
from tests.benchmarks.result import peak_rss_mb

_POLL_MS = 100
_decode = msgspec.json.Decoder(Envelope).decode
_decode_opened = msgspec.json.Decoder(TradeOpened).decode
_decode_filled = msgspec.json.Decoder(TradePartiallyFilled).decode
_OPENED = "trading.trade.opened.v1"


class Loop(msgspec.Struct):
    """What to read with which client (`aiokafka`, `confluent`), and the table that takes it."""

    client: str
    bootstrap: str
    topic: str
    end: int
    """Of its one partition: the offset to stop at."""
    dsn: str
    schema: str
    batch: int = 10_000


class Ran(msgspec.Struct):
    """Seconds between the first commit and the last, in which so many records were applied."""

    records: int
    seconds: float
    rss_mb: float


class Writer:
    """The database's half of the loop."""

    def __init__(self, loop: Loop) -> None:
        self._conn = psycopg.connect(loop.dsn)
        columns = TRADES.columns
        table = sql.Identifier(loop.schema, TRADES.name)
        self._insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            table,
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.SQL("%s") for _ in columns),
        )
        self._update: sql.Composed | None = None
        self._table = table
        self.commits: list[tuple[float, int]] = []
        self._records = 0

    def write(self, values: Iterable[bytes]) -> None:
        """Decode events and commit what they do."""
        opened: list[tuple[Any, ...]] = []
        filled: list[tuple[Any, ...]] = []
        count = 0
        for value in values:
            count += 1
            event = _decode(value)
            if event.type == _OPENED:
                opened.append(astuple(_opened(_decode_opened(event.data))))
            else:
                patch = _fill_patch(_decode_filled(event.data), "partially_filled")[0]
                if self._update is None:
                    self._update = sql.SQL("UPDATE {} SET {} WHERE trade_id = %s").format(
                        self._table,
                        sql.SQL(", ").join(
                            sql.SQL("{} = %s").format(sql.Identifier(c)) for c in patch.changes
                        ),
                    )
                filled.append((*patch.changes.values(), *patch.key))
        with self._conn.cursor() as cursor:
            if opened:
                cursor.executemany(self._insert, opened)
            if filled and self._update is not None:
                cursor.executemany(self._update, filled)
        self._conn.commit()
        self._records += count
        self.commits.append((time.perf_counter(), self._records))

    def ran(self) -> Ran:
        """Return what was measured."""
        (first, before), (last, all_of_them) = self.commits[0], self.commits[-1]
        return Ran(all_of_them - before, last - first, peak_rss_mb())


async def _with_aiokafka(loop: Loop) -> Ran:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=loop.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )  # fmt: skip
    await consumer.start()
    place = TopicPartition(loop.topic, 0)
    consumer.assign([place])
    writer = Writer(loop)
    offset = 0
    while offset < loop.end:
        for records in (
            await consumer.getmany(timeout_ms=_POLL_MS, max_records=loop.batch)
        ).values():
            writer.write(record.value for record in records)
            offset = records[-1].offset + 1
    await consumer.stop()
    return writer.ran()


def _with_confluent(loop: Loop) -> Ran:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": loop.bootstrap, "group.id": f"{loop.schema}-peer",
            "enable.auto.commit": False, "auto.offset.reset": "earliest",
        }
    )  # fmt: skip
    consumer.assign([confluent_kafka.TopicPartition(loop.topic, 0, 0)])
    writer = Writer(loop)
    offset = 0
    while offset < loop.end:
        messages = consumer.consume(loop.batch, _POLL_MS / 1000)
        if messages:
            writer.write(value for m in messages if (value := m.value()) is not None)
            offset = (messages[-1].offset() or 0) + 1
    consumer.close()
    return writer.ran()


def run(loop: Loop) -> Ran:
    """Read the topic to its end."""
    return asyncio.run(_with_aiokafka(loop)) if loop.client == "aiokafka" else _with_confluent(loop)


if __name__ == "__main__":
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Loop)
    sys.stdout.buffer.write(msgspec.json.encode(run(wanted)))
