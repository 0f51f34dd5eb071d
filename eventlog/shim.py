"""The producer shim: attach it to an app, register the app's containers, record mutations."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventlog.apart import run_apart
from eventlog.callers import transaction_of
from eventlog.capture import Capturing
from eventlog.control_connection import ControlConnection
from eventlog.declaring import Declarations, declared_in
from eventlog.listener import Listener
from eventlog.outbox.contract import OutboxAdopted, OutboxIdentity
from eventlog.outbox.opening import AnyOutbox, open_outbox, open_reader
from eventlog.outbox.tail import Tail
from eventlog.ownership import Ownership
from eventlog.reads.reader import Reader
from eventlog.reads.routing import ReadRouting
from eventlog.receipts import ReceiptTimeout
from eventlog.relay import require_continuation, require_unsent_kept
from eventlog.relay_service import RelayThread, follow_mark_file
from eventlog.requests import RequestDesk
from eventlog.restart.memory import MemoryRestart
from eventlog.snapshot import Snapshot
from eventlog.stores import Store
from eventlog.topic import ensure_topics, heads_of, require_source
from schemas.control import SourceOpened, SourceRetired
from schemas.domain import Domain, load_domain
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.position import FIRST_GENERATION
from schemas.requests import SampleAnswer
from schemas.settings import Settings
from schemas.settings_file import load_settings

if TYPE_CHECKING:
    from eventlog.transaction import CallersTransaction, Connection

_ROUTE_WAIT_S = 2.0
log = logging.getLogger("memferry.shim")


class SourceIsRetired(FerryError):
    """The source was closed for good; its outbox takes no more events."""


class Ferry(Capturing):
    """A recorder with its relay, its first snapshot and its control connection.

    `restored` says that the outbox held events: `register` then brings the stores back to them.
    """

    def __init__(self, settings: Settings, outbox: AnyOutbox, domain: Domain) -> None:
        self.restored = outbox.last_row() > 0
        self.settings = settings
        self._place = outbox.place
        self._when_adopted: list[Callable[[], None]] = []
        self.first_snapshot = Snapshot(self, lambda: open_reader(settings))
        super().__init__(
            outbox, domain, settings.kafka.max_event_bytes, settings.outbox.queue_events,
            settings.outbox,
        )  # fmt: skip
        self.ownership = Ownership(self.source, settings.owns) if settings.owns else None
        self.declarations = Declarations(self, declared_in(outbox.lane_rows(CONTROL_PARTITION)))
        self.reads = ReadRouting(self, settings)
        self.restart = MemoryRestart(
            settings, settings.projection or domain.name, outbox.identity,
            lambda: open_reader(settings), outbox.heads(), voids=lambda: self.voids,
        )  # fmt: skip
        self.on_close(self.restart.close)

    def register(self, kind_name: str, content: Any) -> None:
        """Take one of the app's containers under the shim's care.

        Shape:  a dict, key → entity; for kinds with several entities a stream a dict, stream key →
                deque of entities, oldest first.
        After a restart the container's entities become what the log says of their streams;
        streams that were never recorded stay as the app has them.
        Raises: StoreRefused, DomainInvalid.
        """
        self.bring_back(self.add_store(kind_name, content))

    def bring_back(self, store: Store) -> None:
        """After a restart, bring a store to what the log says of its streams."""
        if self.restored:
            self.mark_known(self.restart.bring_back(store))
        self.digests.spoil(f"kind {store.kind.name!r} was registered")

    def transaction(
        self, conn: "Connection", *, timeout: float = 10.0
    ) -> "AbstractContextManager[CallersTransaction]":
        """Record events in a transaction of the app's own, which this begins and commits.

        with ferry.transaction(conn) as changes:
            conn.execute("UPDATE ...")
            changes.record(OrderFilled(...))

        Memory changes once it is committed, and not at all where it is rolled back; the receipts
        are in `changes.receipts` then. Needs `outbox.kind = "postgres"`.
        Raises: OutboxElsewhere, TransactionUnfit, TransactionBlocked after `timeout` seconds, and
                what `record` raises: the transaction is rolled back then. OutcomeUnknown where the
                database was lost at the commit and does not come back.
        """
        return transaction_of(self, self._outbox, conn, timeout)

    def when_adopted(self, stop: Callable[[], None]) -> None:
        """Have `stop` called should another process take the outbox: it speaks for the source."""
        self._when_adopted.append(stop)

    def _on_halt(self, error: FerryError) -> None:
        super()._on_halt(error)
        if isinstance(error.__cause__, OutboxAdopted):
            for stop in self._when_adopted:
                stop()

    def reader(self, kind_name: str) -> Reader:
        """Return what the app reads a kind with, wherever reads go; raises DomainInvalid."""
        return self.reads.reader(kind_name)

    def snapshot(self) -> None:
        """Begin to record, in the background, everything that the log does not hold yet.

        Called again once that is done, it also compares memory with the log and records what
        changed without being recorded.
        """
        self.first_snapshot.again()

    @property
    def snapshot_done(self) -> threading.Event:
        """Set once everything that was in memory at `snapshot` is recorded, or it stopped."""
        return self.first_snapshot.done

    @property
    def snapshot_error(self) -> FerryError | None:
        """Why the first snapshot stopped, if it did: an entity that may not reach the log, say."""
        return self.first_snapshot.error

    @property
    def snapshot_progress(self) -> tuple[int, int]:
        """Streams recorded by the first snapshot, and how many it found to do."""
        return self.first_snapshot.streams, self.first_snapshot.total

    def retire(self, timeout: float = 10.0) -> None:
        """Close this source for good: its final lane heads go to the control topic.

        Nothing can be recorded under this source afterwards, in this process or a later one.
        """
        with self.memory_lock:
            if not self.durable.wait(self._commit.last_row, timeout):
                raise ReceiptTimeout(
                    f"source {self.source!r} is not retired: its last events are not durable after "
                    f"{timeout} s",
                    where=self._place,
                    remedy="look at the disk, then retire it again",
                )
            heads = {
                partition: (head.seq, head.digest)
                for partition, head in self._outbox.heads().items()
                if partition != CONTROL_PARTITION
            }
            receipt = self.record_control(SourceRetired(self.source, heads))
            self._closed = SourceIsRetired(
                f"source {self.source!r} is retired",
                where=self._place,
                remedy="give the new instance a `source` and an `outbox.path` of its own",
            )
        receipt.durable(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Make everything recorded durable, hand it to Kafka if it answers, release the outbox."""
        self.first_snapshot.join(timeout)
        super().close(timeout)
        self.reads.close(timeout)


def attach(settings: Settings | str | Path, *, domain: Domain | None = None) -> Ferry:
    """Open or make the outbox, make or verify the topics, start the relay; return the shim.

    Blocks for as long as Kafka takes to answer; each of its few calls `kafka.timeout_ms` at most.
    Raises: SettingsInvalid, BrokerUnreachable, TopicUnsafe, OutboxInUse, OutboxInvalid,
            OutboxBehindTopic (an old copy of an outbox), OutboxPruned, SourceIsRetired.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    require_source(settings)
    domain = domain or load_domain(settings.domain)
    partitions = run_apart(ensure_topics(settings, FIRST_GENERATION))
    identity = OutboxIdentity(settings.source, settings.topic, FIRST_GENERATION, partitions)
    outbox = open_outbox(settings, identity)
    try:
        _require_newest(settings, identity)
        require_not_retired(settings)
        ferry = Ferry(settings, outbox, domain)
    except BaseException:
        outbox.close()
        raise
    try:
        _serve(ferry, settings, outbox.tail)
    except BaseException:
        ferry.close(settings.kafka.timeout_ms / 1000)
        raise
    return ferry


def _serve(ferry: Ferry, settings: Settings, tail: Tail) -> None:
    if not ferry.restored:
        ferry.record_control(
            SourceOpened(
                ferry.source, settings.topic, FIRST_GENERATION, ferry.identity.partitions,
                socket.gethostname(), os.getpid(),
            )
        ).durable(settings.kafka.timeout_ms / 1000)  # fmt: skip
    if settings.relay.mode == "thread":
        RelayThread(ferry, settings, tail).start()
    else:
        follow_mark_file(ferry, settings)
    if settings.postgres.dsn:
        _listen(ferry, settings)


def _listen(ferry: Ferry, settings: Settings) -> None:
    control = ControlConnection(ferry, settings, ferry.reads.route)
    ending = threading.Event()
    desk = RequestDesk(ferry, settings, ferry.first_snapshot, lambda: _sample(ferry), ending)
    listeners = [Listener(settings, ferry.source, duty) for duty in (control, desk)]

    def close(timeout: float) -> None:
        ending.set()
        for listener in listeners:
            listener.stop()
        for listener in listeners:
            listener.close(timeout)

    ferry.on_close(close)
    for listener in listeners:
        ferry.when_adopted(listener.stop)
        listener.start()
    # After a restart reads may be in PostgreSQL; where it is away they begin in memory, which
    # holds everything, and follow later.
    if ferry.restored and not listeners[0].began.wait(_ROUTE_WAIT_S):
        log.warning("reads begin in memory: PostgreSQL does not say yet where they go")


def _sample(ferry: Ferry) -> SampleAnswer:
    found = ferry.reads.sample()
    return SampleAnswer(sum(found.compared.values()), [str(m) for m in found.mismatches])


def _require_newest(settings: Settings, identity: OutboxIdentity) -> None:
    reader = open_reader(settings)
    try:
        heads = run_apart(heads_of(settings, identity.source, identity.generation))
        require_continuation(reader, heads)
        require_unsent_kept(reader, heads)
    finally:
        reader.close()


def require_not_retired(settings: Settings) -> None:
    """Check that the outbox's source was not closed for good; raises SourceIsRetired."""
    reader = open_reader(settings)
    try:
        head = reader.heads().get(CONTROL_PARTITION)
        newest = reader.at(CONTROL_PARTITION, head.seq) if head else None
    finally:
        reader.close()
    if newest is not None and b'"type":"memferry.source.retired.v1"' in newest.event:
        raise SourceIsRetired(
            f"source {settings.source!r} is retired",
            where=str(reader.path),
            remedy="give the new instance a `source` and an `outbox.path` of its own",
        )
