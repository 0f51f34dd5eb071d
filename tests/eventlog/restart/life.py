"""An app's life: it records without a relay; a test says when events are sent, applied, pruned."""

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import apsw
import msgspec

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.shim import Ferry
from schemas.control import SourceOpened
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION
from schemas.settings import Restart, Settings
from tests.domains.ledger import DOMAIN, Account, Reading
from tests.eventlog.app import (
    DEADLINE_S,
    Memory,
    by_number,
    closed,
    deposited,
    new_rings,
    opened,
    rows_of,
    taken,
)
from tests.projector.broker import Broker
from tests.projector.projecting import project

PARTITIONS = 3


class Life:
    """One source, from its first start on; `memory` is what the app holds."""

    def __init__(self, settings: Settings, broker: Broker, *, topics: bool = True) -> None:
        self.settings = settings
        self._broker = broker
        self._sent = 0
        if topics:
            broker.make_topics(settings)
        self.start()
        self.ferry.record_control(
            SourceOpened(
                settings.source, settings.topic, FIRST_GENERATION, PARTITIONS,
                socket.gethostname(), os.getpid(),
            )
        )  # fmt: skip

    def start(
        self,
        way: Any = "auto",
        accounts: dict[str, Account] | None = None,
        rings: "dict[str, deque[Reading]] | None" = None,
        domain: Domain = DOMAIN,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        """The app starts, with these containers, and its memory comes back, one after the other."""
        given = msgspec.structs.replace(self.settings, restart=Restart(way))
        identity = OutboxIdentity(given.source, given.topic, FIRST_GENERATION, PARTITIONS)
        self.ferry = Ferry(given, SqliteOutbox(given.outbox_path, identity), domain)
        self.accounts = {} if accounts is None else accounts
        self.rings = new_rings() if rings is None else rings
        try:
            self.ferry.register("account", self.accounts)
            between()
            self.ferry.register("reading", self.rings)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.ferry.close(DEADLINE_S)

    def restart(self, way: Any = "auto", **given: Any) -> dict[str, str]:
        """Return which way each kind's memory came back."""
        self.stop()
        self.start(way, **given)
        return dict(self.ferry.restart.ways)

    def restart_beside(self, way: Any) -> "Future[None]":
        """Restart in a thread of its own."""
        self.stop()
        with_one = ThreadPoolExecutor(1)
        starting = with_one.submit(self.start, way)
        with_one.shutdown(wait=False)
        return starting

    def memory(self) -> Memory:
        """Return a copy of what the app holds now, and in which order its rings hold it."""
        rings = {meter: [r.number for r in ring] for meter, ring in self.rings.items() if ring}
        return {"account": dict(self.accounts), "reading": by_number(self.rings), "rings": rings}

    def send(self, doctor: Callable[[list[OutboxRow]], list[OutboxRow]] = list) -> None:
        """Kafka holds everything recorded, as the doctor leaves it."""
        self.ferry.durable.wait(self.ferry.recorded_position(), DEADLINE_S)
        rows = [row for row in rows_of(self.settings.outbox_path) if row.row > self._sent]
        self._broker.publish(self.settings, doctor(rows))
        self._sent = rows[-1].row if rows else self._sent

    def rows(self) -> list[OutboxRow]:
        """Return what the outbox holds."""
        return rows_of(self.settings.outbox_path)

    def garbage(self, partition: int) -> None:
        """Somebody else wrote into the topic."""
        self._broker.send(self.settings, partition, [b"\xffgarbage"])

    def unnumbered(self, partition: int) -> None:
        """An event of this source comes again, and what should be its number is none."""
        row = next(row for row in self.rows() if row.partition == partition)
        event = msgspec.json.decode(row.event) | {"seq": "four"}
        self._broker.send(self.settings, partition, [msgspec.json.encode(event)])

    async def apply(self, until: Mapping[int, int] | None = None) -> None:
        """The tables hold what Kafka holds, up to these offsets."""
        await project(self.settings, until)

    def prune(self, row: int | None = None) -> None:
        """The outbox no longer holds what was sent, up to a row; control records stay."""
        assert row is None or row <= self._sent, "only what was sent is ever pruned"
        self._outbox_sql(
            "DELETE FROM event WHERE partition >= 0 AND row <= ? "
            "AND row < (SELECT max(row) FROM event)",
            self._sent if row is None else row,
        )

    def forget(self, partition: int, seq: int) -> None:
        """The outbox loses a lane's events up to one that was not sent, which it never may."""
        self._outbox_sql("DELETE FROM event WHERE partition = ? AND seq <= ?", partition, seq)

    def cut(self, partition: int, first: int) -> None:
        """Kafka holds nothing of a partition before this offset any more."""
        self._broker.cut(self.settings, partition, first)

    def _outbox_sql(self, statement: str, *values: int) -> None:
        db = apsw.Connection(str(self.settings.outbox_path))
        db.set_busy_timeout(5_000)
        db.execute(statement, values)
        db.close()


async def begin(life: Life) -> None:
    """Some events are in the tables, one is only in Kafka, one only in the outbox; it is pruned."""
    life.ferry.record_all([opened("a"), opened("ended"), closed("ended"), taken("m", 1)])
    life.send()
    await life.apply()
    life.ferry.record(deposited("a", 5, 5))
    life.send()
    life.prune()
    life.ferry.record(deposited("a", 1, 6))
