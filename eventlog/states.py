"""States recorded: what changed in memory is written as the kind's state-carrying events."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec

from eventlog.entry import refuse_nested
from eventlog.receipts import Receipt, ReceiptTimeout, parked_error
from eventlog.recorder import Recorder
from eventlog.stores import Store
from schemas import envelope
from schemas.errors import FerryError


class RemovalUnknown(FerryError):
    """The kind has no event that ends an entity."""


class States(Recorder):
    """A recorder for those who change memory themselves: collections, decorators, blocks."""

    def begin_change(self) -> None:
        """Take the locks of a mutation, once no fence holds it; `end_change` gives them back.

        Raises: FerryClosed, OutcomeUnknown and what a full outbox says; nothing is locked then.
        """
        self._commit.wait_for_room()
        self.lock.acquire()
        self.memory_lock.acquire()
        try:
            if self.fence.leases:
                self.fence.wait()
            self._require_open()
            if self._evolving:
                refuse_nested()
        except BaseException:
            self.end_change()
            raise

    def end_change(self) -> None:
        """Give back the locks of a mutation."""
        self.memory_lock.release()
        self.lock.release()

    def record_states(
        self,
        changes: Iterable[tuple[Store, Any, bool]],
        apply: Callable[[], None],
        *,
        context: envelope.Context | None = None,
        lost: Callable[[], Iterable[Any]] = tuple,
    ) -> list[Receipt]:
        """Queue the events of entities as they are to be, then let `apply` change memory.

        Shape:   (store, entity, whether it ends); several are one unit. To be called between
                 `begin_change` and `end_change`, with stores that still hold the state before.
                 `lost` returns the entities that a full ring evicts for these.
        Raises:  EventInvalid, EventTooLarge, StoreMissing, RemovalUnknown and what the outbox says
                 of its room; `apply` was not called then.
        """
        before: dict[str, list[Receipt]] = {}
        prepared = []
        changed = []
        for store, entity, ends in changes:
            event = _removal(store, entity) if ends else store.kind.snapshot(entity)
            entry = self._entry(event)
            if entry.store is not store:
                entry.refuse_unregistered(self.source)
            stream = entry.stream(event)
            if not (entry.whole or stream in self._known or stream in before):
                before[stream] = self._state(store, stream)
            prepared.append((entry, stream, entry.encode(event)))
            changed.append((store, entry.key(event), None if ends else entity))
        if len(prepared) > 1:
            context = msgspec.structs.replace(context or envelope.Context(), unit=self._new_id())
        receipts = [self._receipt(*one, context) for one in prepared]
        self._put([*chain.from_iterable(before.values()), *receipts])
        if (touched := self.rollbacks.touched) is not None:
            for (store, *_), receipt in zip(changed, receipts, strict=True):
                touched.note(store, receipt.stream, known=receipt.stream not in before)
        self._known.update(before)
        if self.digests.counting:
            self._note_states(before.values(), changed, receipts, lost)
        apply()
        return receipts

    def _note_states(
        self,
        before: Iterable[Sequence[Receipt]],
        changed: Iterable[tuple[Store, Any, Any]],
        receipts: Sequence[Receipt],
        lost: Callable[[], Iterable[Any]],
    ) -> None:
        """Note, for the sums, what is recorded; stores hold what was before."""
        for state in before:
            self.note_first(state)
        for (store, key, entity), receipt in zip(changed, receipts, strict=True):
            count = self.digests.of(store.kind)
            if count is not None:
                present = None if count.met(key) else store.logged(key)
                count.note(receipt.partition, key, present, entity, receipt.data)
                self.digests.relieve(count)
        if changed and count is not None:
            for entity in lost():
                count.evict(receipt.partition, entity)

    def record_snapshot(self, kind_name: str, streams: Sequence[str]) -> int:
        """Record the state of streams that the log does not hold yet; return how many entities."""
        entities = 0
        self._commit.wait_for_room()
        with self.memory_lock:
            if self.rollbacks.sealed and self.fence.leases:
                self.fence.wait()  # recorded now, it would be void, and is nowhere else
            self._require_open()
            store = self._stores[kind_name]
            touched = self.rollbacks.touched
            for stream in streams:
                if not self.is_known(stream) and (state := self._state(store, stream)):
                    self._put(state)
                    if touched is not None:
                        touched.note(store, stream, known=False)
                    self._known.add(stream)
                    self.digests.state(store, state)
                    entities += len(state)
        return entities

    @property
    def calling_out(self) -> bool:
        """Whether a change runs code of the app's: it may not record anything then."""
        return self._evolving

    @calling_out.setter
    def calling_out(self, value: bool) -> None:
        self._evolving = value

    # --- for those who have no receipt

    def applied_through(
        self,
        row: int,
        partitions: Iterable[int],
        timeout: float | None = None,
        streams: str = "",
    ) -> None:
        """Return once all that these partitions had up to a row is in the tables.

        `streams` is the stream that it is about, or a kind's streams, as `trade/`; empty for all.
        Raises: ReceiptTimeout after `timeout` seconds, OutcomeUnknown where the outbox failed,
                Capability without a control connection; AppliedHeld, AppliedStopped and, where one
                of those streams waits behind a parked event, AppliedParked.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        def left() -> float | None:
            return None if deadline is None else max(0.0, deadline - time.monotonic())

        late = not self.durable.wait(row, left())
        heads, partitions = self._outbox.heads(), tuple(partitions)
        for partition in partitions:
            seq = heads[partition].seq if partition in heads else 0
            late = late or not self.promises.applied(partition).wait(seq, left())
        if late:
            raise ReceiptTimeout(
                f"what was recorded up to row {row} is not in the tables after {timeout} s",
                where=f"source {self.source}, partitions {list(partitions)}",
                remedy="`memferry status` shows where events wait",
            )
        parked = self.promises.parked.concerning(streams, partitions)
        if parked is not None:
            raise parked_error(parked)

    def flush(self, timeout: float | None = None) -> None:
        """Return once everything recorded so far is on disk; raises as a receipt's `durable`."""
        row = self.recorded_position()
        if not self.durable.wait(row, timeout):
            raise self._late(row, timeout)

    async def until_flushed(self, timeout: float | None = None) -> None:
        """Like `flush`, in asyncio."""
        row = self.recorded_position()
        if not await self.durable.reached(row, timeout):
            raise self._late(row, timeout)

    def _late(self, row: int, timeout: float | None) -> ReceiptTimeout:
        return ReceiptTimeout(
            f"what was recorded up to row {row} is not durable after {timeout} s",
            where=f"source {self.source}",
            remedy="it may still become so; look at the disk",
        )


def _removal(store: Store, entity: Any) -> Any:
    removal = store.kind.removal
    if removal is None:
        raise RemovalUnknown(
            f"kind {store.kind.name!r} has no event that ends an entity",
            where=f"the Kind {store.kind.name!r} of the domain",
            remedy="declare `removal` in the Kind: entity → the event that ends it",
        )
    return removal(entity)
