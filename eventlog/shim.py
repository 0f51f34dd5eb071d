"""The producer shim: attach it to an app, register the app's containers, record mutations."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from eventlog.control_connection import ControlConnection
from eventlog.listener import Listener
from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.outbox.tail import Tail
from eventlog.reads.reader import Reader
from eventlog.reads.routing import ReadRouting
from eventlog.receipts import ReceiptTimeout
from eventlog.recorder import Recorder
from eventlog.relay import require_continuation
from eventlog.relay_service import RelayThread, follow_mark_file
from eventlog.requests import RequestDesk
from eventlog.restart import restore
from eventlog.snapshot import Snapshot
from eventlog.topic import ensure_topics, heads_of, require_source
from schemas.control import SourceOpened, SourceRetired
from schemas.domain import Domain, load_domain
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.position import FIRST_GENERATION
from schemas.requests import SampleAnswer
from schemas.settings import Settings, load_settings

_RESTORE_CHUNK = 10_000
_ROUTE_WAIT_S = 2.0
log = logging.getLogger("memferry.shim")
T = TypeVar("T")


class SourceIsRetired(FerryError):
    """The source was closed for good; its outbox takes no more events."""


class Ferry(Recorder):
    """A recorder with its relay, its first snapshot and its control connection.

    `restored` says that the outbox held events: `register` then brings the stores back to them.
    """

    def __init__(self, settings: Settings, outbox: SqliteOutbox, domain: Domain) -> None:
        self.restored = outbox.last_row() > 0
        self.settings = settings
        self._path = outbox.path
        self.first_snapshot = Snapshot(self)
        super().__init__(
            outbox, domain, settings.kafka.max_event_bytes, settings.outbox.queue_events
        )
        self.reads = ReadRouting(self, settings)

    def register(self, kind_name: str, content: Any) -> None:
        """Take one of the app's containers under the shim's care.

        Shape:  a dict, key → entity; for kinds with several entities a stream a dict, stream key →
                deque of entities, oldest first.
        After a restart the container's entities become what the log says of their streams;
        streams that were never recorded stay as the app has them.
        Raises: StoreRefused, DomainInvalid.
        """
        store = self.add_store(kind_name, content)
        if self.restored:
            self.mark_known(restore(_all_rows(self._path), store))

    def reader(self, kind_name: str) -> Reader:
        """Return what the app reads a kind with, wherever reads go; raises DomainInvalid."""
        return self.reads.reader(kind_name)

    def snapshot(self) -> None:
        """Begin to record, in the background, everything that the log does not hold yet."""
        self.first_snapshot.start()

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
                    where=str(self._path),
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
                where=str(self._path),
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
            OutboxBehindTopic (an old copy of an outbox), SourceIsRetired.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    require_source(settings)
    domain = domain or load_domain(settings.domain)
    partitions = _run_apart(ensure_topics(settings, FIRST_GENERATION))
    identity = OutboxIdentity(settings.source, settings.topic, FIRST_GENERATION, partitions)
    outbox = SqliteOutbox(settings.outbox_path, identity)
    try:
        _require_newest(settings, identity)
        _require_not_retired(settings)
    except BaseException:
        outbox.close()
        raise
    ferry = Ferry(settings, outbox, domain)
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
        listener.start()
    # After a restart reads may be in PostgreSQL; where it is away they begin in memory, which
    # holds everything, and follow later.
    if ferry.restored and not listeners[0].began.wait(_ROUTE_WAIT_S):
        log.warning("reads begin in memory: PostgreSQL does not say yet where they go")


def _sample(ferry: Ferry) -> SampleAnswer:
    found = ferry.reads.sample()
    return SampleAnswer(sum(found.compared.values()), [str(m) for m in found.mismatches])


def _require_newest(settings: Settings, identity: OutboxIdentity) -> None:
    reader = SqliteOutboxReader(settings.outbox_path)
    try:
        heads = _run_apart(heads_of(settings, identity.source, identity.generation))
        require_continuation(reader, heads)
    finally:
        reader.close()


def _require_not_retired(settings: Settings) -> None:
    reader = SqliteOutboxReader(settings.outbox_path)
    try:
        head = reader.heads().get(CONTROL_PARTITION)
        newest = reader.at(CONTROL_PARTITION, head.seq) if head else None
    finally:
        reader.close()
    if newest is not None and b'"type":"memferry.source.retired.v1"' in newest.event:
        raise SourceIsRetired(
            f"source {settings.source!r} is retired",
            where=str(settings.outbox_path),
            remedy="give the new instance a `source` and an `outbox.path` of its own",
        )


def _all_rows(path: Path) -> Iterator[OutboxRow]:
    reader = SqliteOutboxReader(path)
    try:
        rows = reader.rows(0, _RESTORE_CHUNK)
        while rows:
            yield from rows
            rows = reader.rows(rows[-1].row, _RESTORE_CHUNK)
    finally:
        reader.close()


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread: the caller may be inside a running event loop."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=run, name="memferry-attach")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
