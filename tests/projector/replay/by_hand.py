"""Logs written by hand: events with the times, units and Kafka stamps that a test wants."""

import datetime
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from projector.log import Log
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from tests.projector.broker import Broker

BEGAN = datetime.datetime(2026, 11, 26, 10, 0, tzinfo=datetime.UTC)
BEGAN_MS = int(BEGAN.timestamp() * 1_000)
OPENED, DEPOSITED = "ledger.account.opened.v1", "ledger.account.deposited.v1"
_numbers = itertools.count(1)


class Event(msgspec.Struct, frozen=True):
    """One record: `at_ms` is since BEGAN."""

    source: str
    seq: int
    at_ms: int
    stream: str = "account/a"
    unit: str | None = None
    type: str = DEPOSITED
    snapshot: bool = False
    id: str = ""

    def value(self) -> bytes:
        """Return the record's bytes."""
        fields: dict[str, Any] = {
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.type,
            "subject": self.stream, "time": time_text(self.at_ms), "seq": str(self.seq),
            "epoch": 1, "chain": "0" * 64, "data": {},
        }  # fmt: skip
        if self.unit is not None:
            fields["unit"] = self.unit
        if self.snapshot:
            fields["snapshot"] = True
        return msgspec.json.encode(fields)


def event(source: str, seq: int, at_ms: int, **more: Any) -> Event:
    """Return an event whose id bears its time."""
    return Event(source, seq, at_ms, id=id_at(BEGAN_MS + at_ms), **more)


def id_at(ms: int) -> str:
    """Return a new UUIDv7 of a time."""
    number = next(_numbers)
    text = f"{ms:012x}7{number % 0x1000:03x}8{number:015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_text(at_ms: int, nanoseconds: int = 0) -> str:
    """Return a time since BEGAN as an envelope has it."""
    at = BEGAN + datetime.timedelta(milliseconds=at_ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond * 1_000 + nanoseconds:09}Z"


def send(
    broker: Broker,
    settings: Settings,
    lanes: Sequence[Sequence[Event]],
    stamp_ms: int | None = None,
) -> None:
    """These events are in the partitions, one sequence each."""
    for partition, events in enumerate(lanes):
        broker.send(settings, partition, [one.value() for one in events], stamp_ms)


@asynccontextmanager
async def log_of(settings: Settings) -> AsyncIterator[Log]:
    """The topic is open."""
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        yield log
