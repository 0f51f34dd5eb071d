"""An app with a real outbox, whose events reach Kafka only when a test sends them."""

import os
import socket
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from aiokafka.structs import ConsumerRecord
from psycopg import sql

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.receipts import Receipt
from eventlog.recorder import Recorder
from schemas.control import SourceOpened
from schemas.domain import Domain
from schemas.lane import partition_of
from schemas.position import FIRST_GENERATION
from schemas.settings import Settings
from tests.domains.ledger import (
    DOMAIN,
    Account,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    Reading,
    ReadingTaken,
)

OPENED = datetime(2024, 2, 29, 12, 30, 15, 123456, UTC)


class App:
    """Accounts and meters in memory; `readings_taken` are all that ever were, evicted or not."""

    def __init__(self, settings: Settings, domain: Domain = DOMAIN) -> None:
        self.settings = settings
        self.accounts: dict[str, Account] = {}
        self.readings: dict[str, deque[Reading]] = {}
        self.readings_taken: list[Reading] = []
        identity = OutboxIdentity(
            settings.source, settings.topic, FIRST_GENERATION, settings.kafka.partitions
        )
        outbox = SqliteOutbox(settings.outbox_path, identity)
        self.recorder = Recorder(outbox, domain, settings.kafka.max_event_bytes, 50_000)
        self.recorder.add_store("account", self.accounts)
        self.recorder.add_store("reading", self.readings)
        opened = SourceOpened(
            settings.source, settings.topic, FIRST_GENERATION, settings.kafka.partitions,
            socket.gethostname(), os.getpid(),
        )  # fmt: skip
        self._last: Receipt = self.recorder.record_control(opened)

    def open(self, *names: str, owner: str = "Ada", tags: dict[str, str] | None = None) -> None:
        for name in names:
            self._last = self.recorder.record(AccountOpened(name, owner, OPENED, tags or {}))

    def deposit(self, name: str, amount: int | str) -> None:
        value = Decimal(amount)
        balance = self.accounts[name].balance + value
        self._last = self.recorder.record(AmountDeposited(name, value, balance))

    def end(self, name: str) -> None:
        self._last = self.recorder.record(AccountClosed(name))

    def read(self, meter: str, number: int, value: str = "1.5") -> None:
        taken = Reading(meter, number, Decimal(value))
        self._last = self.recorder.record(ReadingTaken(meter, number, taken.value))
        self.readings_taken.append(taken)

    def barrier(self, name: str) -> None:
        self._last = self.recorder.place_barrier(name, "test").receipts[-1]

    def rows(self) -> list[OutboxRow]:
        """Return the outbox's rows, once everything recorded is in it."""
        self._last.durable(10)
        reader = SqliteOutboxReader(self.settings.outbox_path)
        try:
            return reader.rows(0, 1_000_000)
        finally:
            reader.close()

    def close(self) -> None:
        self.recorder.close()

    def expected(self, *partitions: int) -> dict[str, set[tuple[Any, ...]]]:
        """Return what the tables must hold: of every partition, or of those named."""
        wanted = partitions or tuple(range(self.settings.kafka.partitions))

        def here(stream: str) -> bool:
            return partition_of(stream, self.settings.kafka.partitions) in wanted

        return {
            "accounts": {
                (a.account, a.owner, a.balance, a.opened_at, tuple(sorted(a.tags.items())))
                for a in self.accounts.values()
                if here(f"account/{a.account}")
            },
            "readings": {
                (r.meter, r.number, r.value)
                for r in self.readings_taken
                if here(f"reading/{r.meter}")
            },
        }


def accounts_in(partition: int, count: int, partitions: int = 3) -> list[str]:
    """Return names of accounts whose streams are in one partition."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"acc-{number}"
        if partition_of(f"account/{name}", partitions) == partition:
            names.append(name)
        number += 1
    return names


def tables(conn: psycopg.Connection[Any], projection: str) -> dict[str, set[tuple[Any, ...]]]:
    """Return what the tables hold, in the form of `App.expected`; a row twice is an error."""
    accounts = conn.execute(
        sql.SQL("SELECT account, owner, balance, opened_at, tags FROM {}.accounts").format(
            sql.Identifier(projection)
        )
    ).fetchall()
    readings = conn.execute(
        sql.SQL("SELECT meter, number, value FROM {}.readings").format(sql.Identifier(projection))
    ).fetchall()
    return {
        "accounts": {(*row[:4], tuple(sorted(row[4].items()))) for row in accounts},
        "readings": set(readings),
    }


def records(rows: list[OutboxRow], topic: str) -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
    """Return rows as Kafka hands them out when each partition holds its lane and nothing else."""
    found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {}
    for row in rows:
        lane = found.setdefault(row.partition, [])
        lane.append(record(topic, row.partition, len(lane), row.event))
    return found


def record(
    topic: str, partition: int, offset: int, value: bytes | None
) -> ConsumerRecord[bytes, bytes]:
    """Return one record as aiokafka hands it out."""
    size = len(value or b"")
    return ConsumerRecord(topic, partition, offset, 0, 0, b"key", value, None, 3, size, ())
