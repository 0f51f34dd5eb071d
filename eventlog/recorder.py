"""Recording: validate, evolve, queue and apply one mutation in one step; return its receipt."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from eventlog.catalog import Catalog
from eventlog.commit import GroupCommit
from eventlog.control_events import ControlEvents
from eventlog.entry import Entry, EventTooLarge, EventTypeUnknown, FerryClosed, StoreMissing
from eventlog.fence import Fence
from eventlog.outbox.contract import Outbox
from eventlog.receipts import Promises, Receipt, ReceiptTimeout
from eventlog.stores import Store
from schemas import envelope
from schemas.control import BarrierPlaced, ControlEvent
from schemas.domain import Domain, Kind, TransitionRefused
from schemas.errors import FerryError
from schemas.identity import id_generator
from schemas.lane import CONTROL_PARTITION, partition_of


class Barrier(NamedTuple):
    """A mark in every lane, and a copy of memory as it was at that mark where one was wanted."""

    receipts: list[Receipt]
    memory: list[tuple[Kind, Callable[[], Iterator[Any]]]]


class Recorder(Catalog):
    """The recording half of the shim. Safe to use from any number of threads and from asyncio.

    One lock gives one order: events are queued for the outbox and applied to memory in one step.
    An app that reads before it decides holds `lock` over both.
    """

    def __init__(
        self, outbox: Outbox, domain: Domain, max_event_bytes: int, queue_events: int
    ) -> None:
        super().__init__(outbox.identity.source, domain)
        self.identity = outbox.identity
        self.promises = Promises()
        self.durable = self.promises.durable
        # Apart from memory's: what a mutation decided under it stays true while a fence holds it.
        self.lock = threading.RLock()
        """Held by every mutation; taken before `memory_lock`, never the other way round."""
        self.fence = Fence(self.memory_lock)
        self._outbox = outbox
        self._commit = GroupCommit(outbox, self.durable, queue_events, self._on_halt)
        self._partitions = outbox.identity.partitions
        self._room = max_event_bytes - envelope.SEAL_BYTES_MAX
        self._new_id = id_generator()
        self._control = ControlEvents(self.source, self.promises, self._new_id)
        self._closed: FerryError | None = None
        self._recorded = 0
        self._closers: list[Callable[[float], None]] = []

    # --- recording

    def record(self, event: msgspec.Struct, *, context: envelope.Context | None = None) -> Receipt:
        """Queue one event and change memory by it, in one step; the receipt says how far it is.

        Blocks while the disk is behind by `outbox.queue_events`, and during a fence to the end of
        its lease at most.
        Raises: EventInvalid, EventTypeUnknown, EventTooLarge, StoreMissing, TransitionRefused,
                FerryClosed, OutcomeUnknown. In each case memory has not changed.
        """
        entry = self._entry(event)
        data = entry.encode(event)
        stream = entry.stream(event)
        self._commit.wait_for_room()
        with self.lock, self.memory_lock:
            store = self._admit(entry)
            key = entry.key(event)
            try:
                entity = entry.evolve(store.get(key), event)
            except TransitionRefused as error:
                entry.refuse(error, stream)
            # The state before the first mutation, so that the log holds the whole stream.
            known = entry.whole or stream in self._known
            before = () if known else self._state(store, stream)
            receipt = self._receipt(entry, stream, data, context)
            self._put((*before, receipt))
            if not known:
                self._known.add(stream)
            store.put(key, entity)
        return receipt

    def record_all(
        self, events: Sequence[msgspec.Struct], *, context: envelope.Context | None = None
    ) -> list[Receipt]:
        """Record events as one unit: durable together or not at all, under one unit id.

        A refusal of any one leaves memory unchanged by all. Raises as `record` does.
        """
        prepared = [(e := self._entry(event), event, e.encode(event)) for event in events]
        self._commit.wait_for_room()
        with self.lock, self.memory_lock:
            context = msgspec.structs.replace(context or envelope.Context(), unit=self._new_id())
            changed: dict[tuple[str, Hashable], tuple[Store, Any]] = {}
            before: dict[str, list[Receipt]] = {}
            receipts: list[Receipt] = []
            for entry, event, data in prepared:
                store = self._admit(entry)
                stream = entry.stream(event)
                if not (entry.whole or stream in self._known or stream in before):
                    before[stream] = self._state(store, stream)
                key = entry.key(event)
                place = (entry.kind.name, key)
                present = changed[place][1] if place in changed else store.get(key)
                try:
                    changed[place] = (store, entry.evolve(present, event))
                except TransitionRefused as error:
                    entry.refuse(error, stream)
                receipts.append(self._receipt(entry, stream, data, context))
            self._put([*chain.from_iterable(before.values()), *receipts])
            self._known.update(before)
            for (_, key), (store, entity) in changed.items():
                store.put(key, entity)
        return receipts

    def record_snapshot(self, kind_name: str, streams: Sequence[str]) -> int:
        """Record the state of streams that the log does not hold yet; return how many entities."""
        entities = 0
        self._commit.wait_for_room()
        with self.memory_lock:
            self._require_open()
            store = self._stores[kind_name]
            for stream in streams:
                if not self.is_known(stream) and (state := self._state(store, stream)):
                    self._put(state)
                    self._known.add(stream)
                    entities += len(state)
        return entities

    def record_control(self, event: ControlEvent) -> Receipt:
        """Record a control event in this source's own lane of the control topic."""
        with self.memory_lock:
            self._require_open()
            receipt = self._control.receipt(event, CONTROL_PARTITION)
            self._commit.put((receipt,))
        return receipt

    def place_barrier(
        self, barrier: str, purpose: str, *, epoch: int = 0, with_memory: bool = True
    ) -> Barrier:
        """Put a mark in every partition, raising lanes to `epoch`; copy memory as it is there.

        The copy is shallow: a pause of about a millisecond for 100,000 entities. A fence does not
        hold a barrier.
        """
        with self.memory_lock:
            self._require_open()
            event = BarrierPlaced(barrier, purpose)
            receipts = [
                self._control.receipt(event, partition, epoch)
                for partition in range(self._partitions)
            ]
            self._commit.put(receipts)
            stores = self._stores.values() if with_memory else ()
            memory = [(store.kind, store.copy()) for store in stores]
        return Barrier(receipts, memory)

    async def until_open(self) -> None:
        """Return once no fence holds mutations: an asyncio app awaits this, then records."""
        await self.fence.until_open()

    # --- how far it is

    def recorded_position(self) -> int:
        """Return the newest row given to an event, durable or not."""
        return self._commit.last_row

    def applied_through(
        self, row: int, partitions: Iterable[int], timeout: float | None = None
    ) -> None:
        """Return once all that these partitions had up to a row is in the tables.

        Raises: ReceiptTimeout after `timeout` seconds, OutcomeUnknown where the outbox failed,
                Capability without a control connection.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if deadline is None else max(0.0, deadline - time.monotonic())

        late = not self.durable.wait(row, left())
        heads = self._outbox.heads()
        for partition in partitions:
            seq = heads[partition].seq if partition in heads else 0
            late = late or not self.promises.applied(partition).wait(seq, left())
        if late:
            raise ReceiptTimeout(
                f"what was recorded up to row {row} is not in the tables after {timeout} s",
                where=f"source {self.source}, partitions {list(partitions)}",
                remedy="`memferry status` shows where events wait",
            )

    def _entry(self, event: msgspec.Struct) -> Entry:
        entry = self._entries.get(type(event))
        if entry is None:
            raise EventTypeUnknown(
                f"{type(event).__name__} is no event of the domain {self.domain.name!r}",
                where=f"type {type(event).__module__}.{type(event).__qualname__}",
                remedy="declare it in a kind's `events`, under its type name with version",
            )
        return entry

    def _admit(self, entry: Entry) -> Store:
        if self.fence.leases:
            self.fence.wait()
        self._require_open()
        if entry.store is None:
            raise StoreMissing(
                f"no store is registered for kind {entry.kind.name!r}",
                where=f"source {self.source}",
                remedy=f"call ferry.register({entry.kind.name!r}, container) before recording",
            )
        return entry.store

    def _require_open(self) -> None:
        error = self._commit.halted or self._closed
        if error is not None:
            raise error

    def _receipt(
        self, entry: Entry, stream: str, data: bytes, context: envelope.Context | None
    ) -> Receipt:
        event_id = self._new_id()
        head = entry.head(stream, event_id, time.time_ns(), context)
        # Kafka keeps the stream's name a second time, as the key.
        size = len(head) + len(data) + len(stream.encode())
        if size > self._room:
            raise EventTooLarge(
                f"the event takes {size} bytes with its key, the topic allows {self._room}",
                where=f"stream {stream}, type {entry.type_name}",
                remedy="split the entity into smaller ones, or raise `kafka.max_event_bytes` and "
                "the topic's max.message.bytes",
            )
        partition = partition_of(stream, self._partitions)
        return Receipt(self.promises, event_id, partition, stream, head, data)

    def _state(self, store: Store, stream: str) -> list[Receipt]:
        """Return receipts, not queued yet, of the events that carry a stream's state."""
        receipts = []
        for entity in store.of_stream(stream):
            event = store.kind.snapshot(entity)
            entry = self._entry(event)
            receipts.append(self._receipt(entry, stream, entry.encode(event), None))
        return receipts

    def _put(self, receipts: Sequence[Receipt]) -> None:
        self._commit.put(receipts)
        self._recorded += len(receipts)

    # --- life

    def on_close(self, closer: Callable[[float], None]) -> None:
        """Have `closer(timeout)` called by `close`, the last added first."""
        self._closers.append(closer)

    def stats(self) -> dict[str, int]:
        """Return counts of events: recorded by this process, waiting for the disk, for Kafka."""
        sent = self.promises.replicated_row
        return {
            "events_recorded": self._recorded,
            "queue_depth": self._commit.depth,
            "durable_row": self.durable.value,
            "unsent": max(0, self.durable.value - sent),
        }

    def close(self, timeout: float = 10.0) -> None:
        """Make everything recorded durable, then end the threads and release the outbox."""
        with self.memory_lock:
            self._closed = self._closed or FerryClosed(
                "the ferry is closed", remedy="attach again to record more"
            )
            self.fence.open_all()
        if not self._commit.close(timeout):
            raise FerryClosed(
                f"the outbox did not commit within {timeout} s", remedy="look at the disk"
            )
        try:
            while self._closers:
                self._closers.pop()(timeout)
        finally:
            self._outbox.close()

    def _on_halt(self, error: FerryError) -> None:
        self._closed = error
