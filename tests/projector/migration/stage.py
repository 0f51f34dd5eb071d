"""A live app with a writing thread, its projector, and what must be true of both afterwards."""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

import eventlog
from eventlog.receipts import Receipt
from eventlog.shim import Ferry
from projector.audit.run import audit
from projector.migration.interface import ZeroDowntimeMigration
from projector.migration.progress import MigrationProgress, Watcher
from projector.migration.result import MigrationResult
from projector.runner import Projector
from projector.trail import first_broken
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from tests.checker.event import Record, read_event
from tests.checker.lane import Lane, LaneName
from tests.checker.topic import read_topic
from tests.checker.verdict import Finding
from tests.domains.ledger import (
    DOMAIN,
    Account,
    AccountOpened,
    AmountDeposited,
    Reading,
    ReadingTaken,
)
from tests.projector.waiting import until

OPENED = datetime(2024, 1, 1, tzinfo=UTC)
WRITTEN = ("w-0", "w-1", "w-2", "w-3")
DEADLINE_S = 30.0
_PACE_S = 0.02


def changed(settings: Settings, **migration: Any) -> Settings:
    """Return settings with other fields of `migration`."""
    replaced = msgspec.structs.replace(settings.migration, **migration)
    return msgspec.structs.replace(settings, migration=replaced)


def at(phase: str, act: Callable[[], object]) -> Watcher:
    """Return what does something when a phase begins, the first time."""
    left = [act]

    def watcher(progress: MigrationProgress) -> None:
        if progress.phase == phase and left:
            left.pop()()

    return watcher


class Paused:
    """A run in a thread, which stands still where a phase begins until `go`."""

    def __init__(self, stage: "Stage", phase: str) -> None:
        self._reached, self._go = threading.Event(), threading.Event()
        self.ended: list[MigrationResult | BaseException] = []

        def pause() -> None:
            self._reached.set()
            self._go.wait(DEADLINE_S)

        migration = stage.migration(at(phase, pause))

        def work() -> None:
            try:
                self.ended.append(migration.run())
            except BaseException as error:
                self.ended.append(error)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        assert self._reached.wait(DEADLINE_S), self.ended

    def go(self) -> MigrationResult | BaseException:
        self._go.set()
        self._thread.join(DEADLINE_S)
        (ended,) = self.ended
        return ended


class Projecting:
    """A projector in a thread with an event loop of its own, for tests that have none."""

    def __init__(self, settings: Settings, domain: Domain = DOMAIN) -> None:
        self._settings = settings
        self._domain = domain
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)

    def _run(self) -> None:
        async def work() -> None:
            self._projector = Projector(self._settings, self._domain)
            self._ready.set()
            await self._projector.run()

        self._loop.run_until_complete(work())
        self._loop.close()

    def stop(self) -> None:
        with suppress(RuntimeError):  # ended by itself, its loop closed
            self._loop.call_soon_threadsafe(self._projector.stop)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


class Stage:
    """An app that held ten accounts and a window of readings before the shim was attached.

    `acknowledged` counts the deposits of one that were durable, account by account.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.accounts: dict[str, Account] = {
            f"old-{n}": Account(f"old-{n}", "Ada", Decimal(n), OPENED, {"n": str(n)})
            for n in range(10)
        }
        self.readings: dict[str, deque[Reading]] = {
            "m-0": deque((Reading("m-0", n, Decimal(n)) for n in range(5)), maxlen=3)
        }
        self.acknowledged: Counter[str] = Counter()
        self.ferry: Ferry = eventlog.attach(settings)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.readings)
        self.failures: list[BaseException] = []
        opened = self.ferry.record_all([AccountOpened(name, "Eve", OPENED) for name in WRITTEN])
        opened[-1].replicated(DEADLINE_S)  # so that the control topic names this source
        self._taken = 100
        self._ending = threading.Event()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._projector: Projecting | None = None

    # --- the app

    def deposit(self, name: str) -> Receipt:
        """Write, and have it acknowledged; not beside the writing thread."""
        balance = self.accounts[name].balance + 1
        receipt = self.ferry.record(AmountDeposited(name, Decimal(1), balance))
        receipt.durable(DEADLINE_S)
        self.acknowledged[name] += 1
        return receipt

    def write(self) -> None:
        """Write from now on, until `rest`."""
        self._ending.clear()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def rest(self) -> None:
        """Write no more; what was written is acknowledged."""
        self._ending.set()
        self._writer.join(DEADLINE_S)
        assert not self._writer.is_alive(), "the writer still waits"
        assert not self.failures, self.failures

    def wrote_on(self, deposits: int = 5) -> None:
        """Wait until so many more deposits were acknowledged."""
        before = self.acknowledged.total()
        until(
            lambda: self.acknowledged.total() >= before + deposits or self.failures,
            "the writer to go on",
            DEADLINE_S,
        )
        assert not self.failures, self.failures

    def _write(self) -> None:
        try:
            while not self._ending.wait(_PACE_S):
                for name in (*WRITTEN, "old-3"):
                    self.deposit(name)
                self._taken += 1
                self.ferry.record(ReadingTaken("m-0", self._taken, Decimal(self._taken)))
        except BaseException as error:  # the test says it
            self.failures.append(error)

    # --- the rest

    def restart(self) -> None:
        """Be an app that ends and starts anew, at rest: its memory comes from its outbox."""
        self.ferry.close()
        self.accounts, self.readings = {}, {}
        self.ferry = eventlog.attach(self.settings)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.readings)

    def project(self) -> None:
        """A projector runs, until `stop_projecting`."""
        self._projector = Projecting(self.settings)

    def stop_projecting(self) -> None:
        if self._projector is not None:
            projector, self._projector = self._projector, None
            projector.stop()

    def migration(
        self,
        watcher: Watcher = lambda _: None,
        kind: type[ZeroDowntimeMigration] = ZeroDowntimeMigration,
        **changes: Any,
    ) -> ZeroDowntimeMigration:
        """Return a run to be; keywords replace fields of `migration`."""
        return kind(changed(self.settings, **changes), DOMAIN, watcher)

    def close(self) -> None:
        self._ending.set()
        if self._writer.is_alive():
            self._writer.join(DEADLINE_S)
        self.stop_projecting()
        self.ferry.close()

    # --- what must be true

    def require_acknowledged(self) -> None:
        """Demand, at rest, every acknowledged write in memory."""
        for name, deposits in self.acknowledged.items():
            began = int(name[4:]) if name.startswith("old-") else 0
            assert self.accounts[name].balance == began + deposits, name

    def require_nothing_lost(self) -> None:
        """Demand, at rest, every acknowledged write in memory, log and tables, and whole lanes."""
        self.require_acknowledged()
        found = asyncio.run(audit(self.settings, DOMAIN, timeout_s=DEADLINE_S))
        assert found.all_equal, found.findings
        assert found.memory_compared
        with psycopg.connect(self.settings.postgres.dsn) as conn:
            rows = conn.execute(
                f"SELECT account, balance FROM {self.settings.projection}.accounts"
            ).fetchall()
            assert first_broken(conn) is None, "the audit trail is broken"
        assert dict(rows) == {name: a.balance for name, a in self.accounts.items()}
        assert lane_faults(self.settings) == []


def lane_faults(settings: Settings) -> list[Finding]:
    """Return what the independent checker finds wrong with the lanes of the data topic."""
    findings: list[Finding] = []
    lanes: dict[tuple[str, int], Lane] = {}

    def take(record: Record) -> None:
        event = read_event(record)
        lane = lanes.setdefault(
            (event.source, record.partition),
            Lane(LaneName(event.source, FIRST_GENERATION, record.partition), findings),
        )
        assert record.value is not None
        lane.admit(record.value, event.seq, event.epoch, event.chain, record.offset)

    topic = kafka_topic(settings.topic, FIRST_GENERATION)
    findings += asyncio.run(read_topic(settings.kafka.bootstrap, topic, take))
    for lane in lanes.values():
        lane.finish()
    return findings
