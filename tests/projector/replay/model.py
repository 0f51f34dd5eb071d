"""The pure fold of a topic to a position without what is void, by a model of its own.

It reads the topic with a plain consumer and folds what counts by `evolve`; it knows of a void what
the test that asked for it knows: the position, the streams, and where the first mark stands.
"""

import asyncio
from typing import Any

import msgspec

from eventlog.restart.log import read_log
from schemas import envelope
from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN, Account

_EVENTS = {name: event for kind in DOMAIN.kinds for name, event in kind.events.items()}
Rows = dict[str, set[tuple[Any, ...]]]


class LogRecord(msgspec.Struct, frozen=True):
    """One record of the topic."""

    partition: int
    offset: int
    seq: int
    stream: str
    type: str
    data: bytes
    raw: bytes


class TakenVoid(msgspec.Struct, frozen=True):
    """A void as the test asked for it; no streams: all."""

    position: dict[int, int]
    streams: frozenset[str]


class Model:
    """What one topic says, and which voids are in force."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.voids: dict[str, TakenVoid] = {}
        self.restored: set[str] = set()

    def in_force(self) -> list[str]:
        """Return the voids that are not reversed."""
        return sorted(set(self.voids) - self.restored)

    def expected(self, position: dict[int, int] | None) -> Rows:
        """Return the rows at a position; None: at the log's end."""
        records = self.records()
        marks = _marks(records)
        seen: dict[int, int] = {}
        entities: dict[tuple[str, Any], Any] = {}
        for r in records:
            if r.seq <= seen.get(r.partition, 0):
                continue
            seen[r.partition] = r.seq
            if position is not None and r.offset >= position[r.partition]:
                continue
            if r.type in _EVENTS and not self._is_void(r, marks):
                kind = DOMAIN.kind(r.stream.partition("/")[0])
                event = msgspec.json.decode(r.data, type=_EVENTS[r.type])
                place = (kind.name, kind.key_getter()(event))
                entities[place] = kind.evolve(entities.get(place), event)
        return _rows(entity for entity in entities.values() if entity is not None)

    def has_newer(self, name: str) -> bool:
        """Say whether events of a void's streams stand behind its mark."""
        records = self.records()
        marks, taken = _marks(records), self.voids[name]
        touched: set[str] = set()
        seen: dict[int, int] = {}
        for r in records:
            new = r.seq > seen.get(r.partition, 0)
            seen[r.partition] = max(r.seq, seen.get(r.partition, 0))
            if not new or r.type not in _EVENTS or r.offset < taken.position[r.partition]:
                continue
            if r.offset > marks[name, r.partition]:
                if r.stream in touched:
                    return True
            elif not taken.streams or r.stream in taken.streams:
                touched.add(r.stream)
        return False

    def records(self) -> list[LogRecord]:
        """Return all records, partition by partition."""
        found: list[LogRecord] = []

        def take(record: Any) -> None:
            e = envelope.decode(record.value)
            found.append(
                LogRecord(
                    record.partition, record.offset, int(e.seq), e.subject, e.type, bytes(e.data),
                    record.value,
                )
            )  # fmt: skip

        topic = kafka_topic(self._settings.topic, 1)
        begin = dict.fromkeys(range(self._settings.kafka.partitions), 0)
        asyncio.run(read_log(self._settings, topic, begin, take))
        return sorted(found, key=lambda r: (r.partition, r.offset))

    def _is_void(self, r: LogRecord, marks: dict[tuple[str, int], int]) -> bool:
        return any(
            (not taken.streams or r.stream in taken.streams)
            and taken.position[r.partition] <= r.offset < marks[name, r.partition]
            for name, taken in self.voids.items()
            if name not in self.restored
        )


def account_row(account: Account) -> tuple[Any, ...]:
    """Return an account as its row."""
    tags = tuple(account.tags.items())
    return (account.account, account.owner, account.balance, account.opened_at, tags)


def _rows(entities: Any) -> Rows:
    rows: Rows = {"accounts": set(), "readings": set()}
    for entity in entities:
        if isinstance(entity, Account):
            rows["accounts"].add(account_row(entity))
        else:
            rows["readings"].add((entity.meter, entity.number, entity.value))
    return rows


def _marks(records: list[LogRecord]) -> dict[tuple[str, int], int]:
    """Return where the first mark of each void stands."""
    marks: dict[tuple[str, int], int] = {}
    for r in records:
        if r.type == "memferry.rolled_back.v1":
            marks.setdefault((msgspec.json.decode(r.data)["void"], r.partition), r.offset)
    return marks
