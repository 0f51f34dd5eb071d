"""The topic once more as Debezium's sink can read it: each event's whole row, flat JSON.

Two ways: with its schema in every record, as Kafka Connect's JSON converter has it by default; and
plain, with the schema in the converter's settings.
"""

import asyncio
import datetime
from collections.abc import Iterable, Iterator
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from aiokafka import AIOKafkaProducer

from eventlog.topic import ensure_topics
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading.trades import Trade, evolve

_CHUNK = 5_000
_TWICE = 50
_PATIENCE_S = 120
_encode = msgspec.json.Encoder(decimal_format="number").encode
_DECIMAL = {
    "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
    "parameters": {"scale": "2"},
}  # fmt: skip
_TIME = {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}
_BY_TYPE: dict[Any, dict[str, Any]] = {
    Decimal: _DECIMAL, datetime.datetime: _TIME, int: {"type": "int64"}, str: {"type": "string"},
}  # fmt: skip


def schema() -> dict[str, Any]:
    """Return Kafka Connect's schema of a trade's row."""
    fields = [
        {**_of(hint), "field": name, "optional": name != "trade_id"}
        for name, hint in get_type_hints(Trade).items()
    ]
    return {"type": "struct", "name": "trade", "optional": False, "fields": fields}


def _of(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, UnionType):
        hint = next(one for one in get_args(hint) if one is not type(None))
    return _BY_TYPE.get(hint, _BY_TYPE[str])


def rows(events: Iterable[Any]) -> Iterator[Trade]:
    """Yield each event's trade as it is behind it."""
    trades: dict[str, Trade] = {}
    for event in events:
        trade = trades[event.trade_id] = evolve(trades.get(event.trade_id), event)
        yield trade


def fill_twin(settings: Settings, events: Iterable[Any], *, plain: bool) -> tuple[int, Trade]:
    """Fill a new topic with the events' rows, 2 % twice; return how many records, and the last."""
    asyncio.run(ensure_topics(settings, FIRST_GENERATION))
    return asyncio.run(_fill(settings, events, plain=plain))


async def _fill(settings: Settings, events: Iterable[Any], *, plain: bool) -> tuple[int, Trade]:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap, compression_type="lz4", linger_ms=20,
        max_batch_size=500_000,
    )  # fmt: skip
    await producer.start()
    topic = kafka_topic(settings.topic, FIRST_GENERATION)
    head = b"" if plain else b'{"schema":' + _encode(schema()) + b',"payload":'
    tail = b"" if plain else b"}"
    sent, chunk, last = 0, [], None

    async def send(values: list[bytes]) -> int:
        futures = [await producer.send(topic, value, partition=0) for value in values]
        await asyncio.wait_for(asyncio.gather(*futures), _PATIENCE_S)
        return len(values)

    try:
        for last in rows(events):
            chunk.append(head + _encode(last) + tail)
            if len(chunk) == _CHUNK:
                sent += await send(chunk + chunk[-_CHUNK // _TWICE :])
                chunk = []
        sent += await send(chunk)
    finally:
        await producer.stop()
    assert last is not None
    return sent, last
