"""The sums that barriers carry: of all rows recorded since counting began, and of the resident.

Nothing is counted until the first barrier: an app that nobody compares pays nothing. What memory
and log are said to be is then known at every barrier without looking at either.
Source: docs/digests.md
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from eventlog.counting import KindCount
from eventlog.entry import Entry
from eventlog.receipts import Receipt
from eventlog.stores import FactStore, Store
from eventlog.window_store import WindowStore
from schemas.domain import Kind
from schemas.table_sums import TableSums

log = logging.getLogger("memferry.digests")
WAITING_MOST = 256
"""Changes of one kind that may wait to be hashed: what a barrier has to do is bounded."""
_WAITING_LONG = WAITING_MOST * 3 // 4
_WAITING_LESS = WAITING_MOST // 4
"""Above the first, hashed down to the second: an entity that changes again is hashed once, and the
two threads seldom want the interpreter at one time."""
_AT_ONCE = 128
"""Hashed between two commits: well under a millisecond."""
_RELIEF = 16
PartitionSums = dict[int, dict[str, TableSums]]


class Digests:
    """Counts what is recorded. All but `step` and `settle` is called under the shim's lock."""

    def __init__(self, partitions: int, new_id: Callable[[], str]) -> None:
        self.counting = ""
        """Names this beginning; empty: nothing is counted."""
        self._partitions = partitions
        self._new_id = new_id
        self._counts: dict[str, KindCount] = {}
        self._settling = threading.Lock()
        self._spoiled = ""
        self._left_out: set[str] = set()
        """Kinds that spoiled the sums of all others by what they will do again."""

    # --- beginning

    def begin(self, stores: Iterable[Store], entries: Iterable[Entry]) -> None:
        """Count from here on, where nothing is counted or what was is not to be trusted.

        Facts are left out: memory does not know whether their key was recorded before.
        """
        if self.counting and not self._spoiled:
            return
        with self._settling:
            self._counts = {
                store.kind.name: KindCount(store.kind, self._partitions)
                for store in stores
                if not isinstance(store, FactStore) and store.kind.name not in self._left_out
            }
            self._spoiled = ""
            self.counting = self._new_id()
            for entry in entries:
                entry.count = self._counts.get(entry.kind.name)

    def spoil(self, reason: str) -> None:
        """Have the next barrier begin anew: what was recorded before something is not known."""
        if self.counting and not self._spoiled:
            log.info("the sums of barriers begin anew: %s", reason)
            self._spoiled = reason

    def leave_out(self, kind: Kind, reason: str) -> None:
        """Begin anew without a kind, once: an app that does it often would never be counted."""
        if kind.name in self._counts:
            self._left_out.add(kind.name)
            self.spoil(reason)

    # --- noting

    def of(self, kind: Kind) -> KindCount | None:
        """Return where a kind is counted, None where it is not."""
        return self._counts.get(kind.name)

    def state(self, store: Store, receipts: Sequence[Receipt]) -> None:
        """Note the first state of a stream, which is queued; the store still holds it."""
        count = self._counts.get(store.kind.name)
        if count is None or not receipts:
            return
        for entity, receipt in zip(store.of_stream(receipts[0].stream), receipts, strict=True):
            count.note(receipt.partition, count.key(entity), None, entity, receipt.data)
        self.relieve(count)

    def first(self, entry: Entry, store: Store, key: Any, event: Any) -> None:
        """Look at an event of an entity that a windowed kind's memory has not, before it has it.

        An insert stands behind a key that was never used. Another event may replace the rows of an
        entity that a ring has lost, and which nobody here knows.
        """
        if entry.inserts(event):
            return
        if isinstance(store, WindowStore) and store.is_late(key):
            reason = f"{entry.type_name} came late, for what a ring may have lost"
            self.leave_out(store.kind, reason)

    def relieve(self, count: KindCount) -> None:
        """Hash some where too much waits: the writing thread does not come to it."""
        waiting = len(count.pending) + len(count.evicted)
        if waiting <= WAITING_MOST:
            return
        if self._settling.acquire(blocking=waiting > 2 * WAITING_MOST):
            try:
                self._settle(count, _RELIEF)
            finally:
                self._settling.release()

    # --- settling

    def step(self) -> bool:
        """Hash some of what waits; say whether there is more. By the writing thread."""
        left = _AT_ONCE
        for count in tuple(self._counts.values()):
            waiting = count.waiting
            if waiting > _WAITING_LONG:
                with self._settling:
                    left -= self._settle(count, min(left, waiting - _WAITING_LESS))
                if left <= 0:
                    return True
        return False

    def settle(self) -> None:
        """Hash what waits, and make it ready for a barrier, in the caller's thread."""
        for count in tuple(self._counts.values()):
            for _ in range(4 * WAITING_MOST // _AT_ONCE):
                if not count.waiting:
                    break
                with self._settling:
                    self._settle(count, _AT_ONCE)
            with self._settling:
                _told([count], self._partitions)

    def sums(self) -> PartitionSums:
        """Return the sums of everything that was noted: partition → table → sums."""
        if self._spoiled or not self.counting:
            return {}
        with self._settling:
            for count in self._counts.values():
                self._settle(count, count.waiting)
            if self._spoiled:
                return {}
            return _told(self._counts.values(), self._partitions)

    def _settle(self, count: KindCount, most: int) -> int:
        if self._spoiled:
            count.pending.clear()
            count.evicted.clear()
            return 0
        try:
            return count.settle(most)
        except Exception:  # the domain's own `rows`; recording goes on
            log.exception("rows of kind %s cannot be digested", count.kind.name)
            self.spoil(f"rows of kind {count.kind.name} cannot be digested")
            return 0


def _told(counts: Iterable[KindCount], partitions: int) -> PartitionSums:
    found: PartitionSums = {partition: {} for partition in range(partitions)}
    for count in counts:
        for partition, sums in enumerate(count.sums):
            for table, one in zip(count.tables, sums, strict=True):
                found[partition][table.name] = one.told()
    return found
