"""Recording: validate, evolve, queue and apply one mutation in one step; return its receipt."""

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from eventlog.commit import GroupCommit
from eventlog.entry import Entry, EventTooLarge, EventTypeUnknown, FerryClosed, StoreMissing
from eventlog.outbox.contract import Outbox
from eventlog.receipts import Promises, Receipt
from eventlog.stores import Store, StoreRefused, store_for
from schemas import envelope
from schemas.control import CONTROL_TYPE_OF, BarrierPlaced, ControlEvent
from schemas.domain import Domain, Kind, TransitionRefused
from schemas.errors import FerryError
from schemas.identity import id_generator
from schemas.lane import CONTROL_PARTITION, partition_of


class Barrier(NamedTuple):
    """A mark in every lane, and a copy of memory as it was at that mark."""

    receipts: list[Receipt]
    memory: list[tuple[Kind, Callable[[], Iterator[Any]]]]


class Recorder:
    """The recording half of the shim. Safe to use from any number of threads and from asyncio.

    One lock gives one order: events are queued for the outbox and applied to memory in one step.
    """

    def __init__(
        self, outbox: Outbox, domain: Domain, max_event_bytes: int, queue_events: int
    ) -> None:
        self.domain = domain
        self.source = outbox.identity.source
        self.identity = outbox.identity
        self.promises = Promises()
        self.durable = self.promises.durable
        self.lock = threading.RLock()
        self._outbox = outbox
        self._commit = GroupCommit(outbox, self.durable, queue_events, self._on_halt)
        self._entries = {
            event: Entry(self.source, domain.kind_of[event], event, name)
            for event, name in domain.type_of.items()
        }
        self._control_heads = {
            event: envelope.HeadWriter(self.source, name).head
            for event, name in CONTROL_TYPE_OF.items()
        }
        self._stores: dict[str, Store] = {}
        self._known: set[str] = set()  # streams
        self._whole: set[str] = set()  # kinds of which every stream is known
        self._partitions = outbox.identity.partitions
        self._room = max_event_bytes - envelope.SEAL_BYTES_MAX
        self._new_id = id_generator()
        self._closed: FerryError | None = None
        self._recorded = 0
        self._closers: list[Callable[[float], None]] = []

    # --- stores

    def add_store(self, kind_name: str, content: Any) -> Store:
        """Take a container under the shim's care; raises StoreRefused."""
        kind = self.domain.kind(kind_name)
        with self.lock:
            if kind_name in self._stores:
                raise StoreRefused(
                    f"kind {kind_name!r} has a store already",
                    remedy="register each kind once; merge the containers first",
                )
            store = store_for(kind, content)
            self._stores[kind_name] = store
            for event in kind.events.values():
                self._entries[event].store = store
            if not store.streams():
                self.mark_whole(kind_name)
        return store

    def stores(self) -> dict[str, Store]:
        """Return the registered stores by kind."""
        return dict(self._stores)

    def mark_known(self, streams: Iterable[str]) -> None:
        """Note streams whose state is in the log already: they need no first snapshot."""
        self._known.update(streams)

    def mark_whole(self, kind_name: str) -> None:
        """Note that the log holds every stream of a kind: none needs a first snapshot any more."""
        with self.lock:
            for event in self._stores[kind_name].kind.events.values():
                self._entries[event].whole = True
            self._whole.add(kind_name)
            prefix = f"{kind_name}/"
            self._known = {stream for stream in self._known if not stream.startswith(prefix)}

    def is_known(self, stream: str) -> bool:
        """Say whether the log holds the stream's state."""
        return stream in self._known or stream.partition("/")[0] in self._whole

    # --- recording

    def record(self, event: msgspec.Struct, *, context: envelope.Context | None = None) -> Receipt:
        """Queue one event and change memory by it, in one step; the receipt says how far it is.

        Blocks while the disk is behind by `outbox.queue_events`.
        Raises: EventInvalid, EventTypeUnknown, EventTooLarge, StoreMissing, TransitionRefused,
                FerryClosed, OutcomeUnknown. In each case memory has not changed.
        """
        entry = self._entry(event)
        data = entry.encode(event)
        stream = entry.stream(event)
        self._commit.wait_for_room()
        with self.lock:
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
        with self.lock:
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
        with self.lock:
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
        with self.lock:
            self._require_open()
            receipt = self._control_receipt(event, CONTROL_PARTITION)
            self._commit.put((receipt,))
        return receipt

    def place_barrier(self, barrier: str, purpose: str) -> Barrier:
        """Put a mark in every partition and copy memory as it is at that mark.

        The copy is shallow: a pause of about a millisecond for 100,000 entities.
        """
        with self.lock:
            self._require_open()
            event = BarrierPlaced(barrier, purpose)
            receipts = [self._control_receipt(event, p) for p in range(self._partitions)]
            self._commit.put(receipts)
            memory = [(store.kind, store.copy()) for store in self._stores.values()]
        return Barrier(receipts, memory)

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

    def _control_receipt(self, event: ControlEvent, partition: int) -> Receipt:
        stream = f"memferry/{self.source}"
        event_id = self._new_id()
        head = self._control_heads[type(event)](stream, event_id, time.time_ns())
        return Receipt(self.promises, event_id, partition, stream, head, msgspec.json.encode(event))

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
        with self.lock:
            self._closed = self._closed or FerryClosed(
                "the ferry is closed", remedy="attach again to record more"
            )
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
