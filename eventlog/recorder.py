"""Recording: validate, evolve, queue and apply one mutation in one step; return its receipt."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from eventlog.barriers import Barriers
from eventlog.commands import CommandIds, command_of
from eventlog.digests import WAITING_MOST
from eventlog.entry import Entry, EventTooLarge, FerryClosed, refuse_nested, refuse_type
from eventlog.outbox.contract import Command, Outbox
from eventlog.ownership import Ownership
from eventlog.receipts import Receipt
from eventlog.rollback import Rollbacks
from eventlog.stores import Store
from schemas import envelope
from schemas.domain import Domain, TransitionRefused
from schemas.lane import partition_of
from schemas.settings import Outbox as OutboxSettings


class Recorder(Barriers):
    """The recording half of the shim. Safe to use from any number of threads and from asyncio.

    One lock gives one order: events are queued for the outbox and applied to memory in one step.
    An app that reads before it decides holds `lock` over both.
    """

    def __init__(
        self,
        outbox: Outbox,
        domain: Domain,
        max_event_bytes: int,
        queue_events: int,
        options: OutboxSettings = OutboxSettings(),  # noqa: B008  (immutable)
    ) -> None:
        # Apart from memory's: what a mutation decided under it stays true while a fence holds it.
        self.lock = threading.RLock()
        """Held by every mutation; taken before `memory_lock`, never the other way round."""
        super().__init__(outbox, domain, max_event_bytes, queue_events, options)
        self._room = max_event_bytes - envelope.SEAL_BYTES_MAX
        self._commands = CommandIds(outbox, self.promises, self._is_void)
        self.rollbacks = Rollbacks()
        self.ownership: Ownership | None = None
        self._evolving = False
        self._recorded = 0
        self._closers: list[Callable[[float], None]] = []
        os.register_at_fork(after_in_child=partial(_end_in_fork, weakref.ref(self)))

    # --- recording

    def record(self, event: msgspec.Struct, *, context: envelope.Context | None = None) -> Receipt:
        """Queue one event and change memory by it, in one step; the receipt says how far it is.

        Blocks while the disk is behind by `outbox.queue_events`, and during a fence until its lease
        ends; it is tried on the state that it finds then. A `commandid` in the context that was
        recorded before returns the receipt of then; one whose events are all void is new.
        Raises: EventInvalid, EventTypeUnknown, EventTooLarge, StoreMissing, TransitionRefused,
                CommandDiffers, FerryClosed, OutcomeUnknown. Memory has not changed then.
        """
        if context is not None and context.commandid:
            return self.record_all((event,), context=context)[0]
        entry = self._entries.get(type(event)) or refuse_type(type(event), self.domain.name)
        data = entry.encode(event)
        stream = entry.stream(event)
        self._commit.wait_for_room()
        with self.lock, self.memory_lock:
            store = self._admit(entry)
            key = entry.key(event)
            present = store.get(key)
            entity = self._evolved(entry, present, event, stream)
            # The state before the first mutation, so that the log holds the whole stream.
            known = entry.whole or stream in self._known
            before = () if known else self._state(store, stream)
            receipt = self._receipt(entry, stream, data, context)
            self._put((*before, receipt))
            if (touched := self.rollbacks.touched) is not None:
                touched.note(store, stream, known=known)
            if not known:
                self._known.add(stream)
                self.digests.state(store, before)
            count = entry.count
            if count is None:
                store.put(key, entity)
                return receipt
            # Here and not in a method of its own, which would be a tenth of the whole.
            if present is None and count.windowed:
                self.digests.first(entry, store, key, event)
            lost = store.put(key, entity)
            count.note(receipt.partition, key, present, entity, data)
            if lost is not None:
                count.evict(receipt.partition, lost)
            if len(count.pending) > WAITING_MOST:
                self.digests.relieve(count)
        return receipt

    def record_all(
        self, events: Sequence[msgspec.Struct], *, context: envelope.Context | None = None
    ) -> list[Receipt]:
        """Record events as one unit: durable together or not at all, under one unit id.

        A refusal of any one leaves memory unchanged by all. Raises as `record` does.
        """
        prepared = [(e := self._entry(event), event, e.encode(event)) for event in events]
        command = command_of(context, [(e.type_name, data) for e, _, data in prepared])
        self._commit.wait_for_room()
        with self.lock, self.memory_lock:
            if self.fence.leases:
                self.fence.wait()  # what a rollback voids under it is no first time
            if command is not None and (first := self._commands.first(command)):
                return first
            context = msgspec.structs.replace(context or envelope.Context(), unit=self._new_id())
            changed: dict[tuple[str, Hashable], Changed] = {}
            before: dict[str, list[Receipt]] = {}
            receipts: list[Receipt] = []
            for entry, event, data in prepared:
                store = self._admit(entry)
                stream = entry.stream(event)
                if not (entry.whole or stream in self._known or stream in before):
                    before[stream] = self._state(store, stream)
                key = entry.key(event)
                place = (entry.kind.name, key)
                first, present = changed[place][2:4] if place in changed else (store.get(key),) * 2
                entity = self._evolved(entry, present, event, stream)
                receipts.append(self._receipt(entry, stream, data, context))
                changed[place] = Changed(entry, store, first, entity, event, receipts[-1])
            if command is not None:
                self._commands.keep(command, receipts)
            self._put([*chain.from_iterable(before.values()), *receipts], command)
            self._note_touched(before, changed)
            self._known.update(before)
            self._apply(before.values(), changed)
        return receipts

    async def until_open(self) -> None:
        """Return once no fence holds mutations: an asyncio app awaits this, then records."""
        await self.fence.until_open()

    # --- one event

    def _entry(self, event: msgspec.Struct) -> Entry:
        return self._entries.get(type(event)) or refuse_type(type(event), self.domain.name)

    def _evolved(self, entry: Entry, present: Any, event: msgspec.Struct, stream: str) -> Any:
        self._evolving = True
        try:
            return entry.evolve(present, event)
        except TransitionRefused as error:
            entry.refuse(error, stream)
        finally:
            self._evolving = False

    def _admit(self, entry: Entry) -> Store:
        if self.fence.leases:
            self.fence.wait()
        if self._closed is not None:
            raise self._closed
        if self._evolving:
            refuse_nested()
        return entry.store or entry.refuse_unregistered(self.source)

    def _receipt(
        self,
        entry: Entry,
        stream: str,
        data: bytes,
        context: envelope.Context | None,
        snapshot: bool = False,
    ) -> Receipt:
        if self.ownership is not None:
            self.ownership.require(stream)
        event_id = self._new_id()
        head = entry.head(stream, event_id, time.time_ns(), context, snapshot=snapshot)
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
            receipts.append(self._receipt(entry, stream, entry.encode(event), None, snapshot=True))
        return receipts

    def _put(self, receipts: Sequence[Receipt], command: Command | None = None) -> None:
        self._commit.put(receipts, command)
        self._recorded += len(receipts)
        if self._commit.write_through and receipts:
            receipts[-1].durable()  # raises where it is not: the caller has not changed memory yet

    def _note_touched(self, begun: Collection[str], changed: Mapping[Any, "Changed"]) -> None:
        """Note, for a rollback, the streams whose stores still hold the state before."""
        touched = self.rollbacks.touched
        if touched is not None:
            for one in changed.values():
                stream = one.receipt.stream
                touched.note(one.store, stream, known=stream not in begun)

    def _is_void(self, partition: int, seq: int, stream: str) -> bool:
        return self.voids.covers(partition, seq, stream)

    def _apply(self, before: Iterable[Sequence[Receipt]], changed: Mapping[Any, "Changed"]) -> None:
        """Change memory by what is recorded, behind the first states of its streams."""
        for state in before:
            self.note_first(state)
        for (_, key), one in changed.items():
            entry, store, first, entity, event, receipt = one
            count = entry.count
            if count is not None:
                if first is None and count.windowed:
                    self.digests.first(entry, store, key, event)
                count.note(receipt.partition, key, first, entity, receipt.data)
            lost = store.put(key, entity)
            if count is not None:
                if lost is not None:
                    count.evict(receipt.partition, lost)
                self.digests.relieve(count)

    def note_first(self, state: Sequence[Receipt]) -> None:
        """Note, for the sums, the first state of a stream, which its store still holds."""
        if state:
            self.digests.state(self._stores[state[0].stream.partition("/")[0]], state)

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
            self._closed = self._closed or FerryClosed("the ferry is closed", remedy="attach again")
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


class Changed(NamedTuple):
    """An entity that a unit changes: as it was before and is behind it, and its last event."""

    entry: Entry
    store: Store
    first: Any
    entity: Any
    event: Any
    receipt: Receipt


def _end_in_fork(this: "weakref.ref[Recorder]") -> None:
    """In a forked child: its threads stayed in the parent, so nothing would be committed."""
    ferry = this()
    if ferry is not None:
        ferry._closed = FerryClosed(
            f"the ferry of source {ferry.source!r} belongs to the process that forked this one",
            remedy="attach in each process, with a source and an outbox of its own",
        )
