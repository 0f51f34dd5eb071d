"""The marks that a source puts into its lanes, and what it says of itself in the control topic."""

from typing import NamedTuple

from eventlog.catalog import Catalog
from eventlog.commit import GroupCommit
from eventlog.control_events import ControlEvents
from eventlog.digests import Digests, PartitionSums
from eventlog.fence import Fence
from eventlog.outbox.contract import Outbox, Written
from eventlog.pruning import Pruning
from eventlog.receipts import Promises, Receipt
from eventlog.stores import StoreCopy
from eventlog.voids import own_voids
from schemas.control import BarrierPlaced, ControlEvent
from schemas.domain import Domain, Kind
from schemas.errors import FerryError
from schemas.identity import id_generator
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Outbox as OutboxSettings


class Barrier(NamedTuple):
    """A mark in every lane, and a copy of memory as it was at that mark where one was wanted.

    `sums` are those that stand in it: partition → table; none where `counting` is empty.
    """

    name: str
    receipts: list[Receipt]
    memory: list[tuple[Kind, StoreCopy]]
    counting: str
    sums: PartitionSums
    unrecorded: frozenset[str] = frozenset()
    """Streams that are in the copy and not in the log: the first snapshot will bring them."""

    def heads(self) -> dict[int, tuple[int, str]]:
        """Return where the mark stands, once it is durable: partition → (seq, SHA-256)."""
        return {receipt.partition: (receipt.seq, receipt.digest or "") for receipt in self.receipts}


class Barriers(Catalog):
    """The queue to the outbox, and memferry's own events in it."""

    def __init__(
        self,
        outbox: Outbox,
        domain: Domain,
        max_event_bytes: int,
        queue_events: int,
        options: OutboxSettings,
    ) -> None:
        super().__init__(outbox.identity.source, domain)
        self.identity = outbox.identity
        self.promises = Promises()
        self.durable = self.promises.durable
        self.fence = Fence(self.memory_lock)
        self.voids = own_voids(outbox.identity, outbox.lane_rows(CONTROL_PARTITION))
        """Which of this source's events do not count; replaced by each decision."""
        self._outbox = outbox
        self._commit = GroupCommit(outbox, self.durable, queue_events, self._on_halt, options)
        self._partitions = outbox.identity.partitions
        self._new_id = id_generator()
        self._control = ControlEvents(self.source, self.promises, self._new_id)
        self.digests = Digests(self._partitions, self._new_id)
        self.pruning = Pruning(outbox, options, self.promises)
        self._commit.upkeep = self._look_after
        self._closed: FerryError | None = None
        self._sums_most = max_event_bytes // 2

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

        It carries the sums of what stands before it; the first one begins to count. The copy is
        shallow: a pause of about a millisecond for 100,000 entities. A fence does not hold a
        barrier.
        """
        self.settle_sums()
        with self.memory_lock:
            self._require_open()
            self.digests.begin(self._stores.values(), self._entries.values())
            sums = self.digests.sums()
            counting = self.digests.counting if sums else ""
            receipts = self._marks(barrier, purpose, counting, sums, epoch)
            if any(len(receipt.data) > self._sums_most for receipt in receipts):
                counting, sums = "", {}  # of very many tables; a barrier must reach the topic
                receipts = self._marks(barrier, purpose, counting, sums, epoch)
            self._commit.put(receipts)
            stores = self._stores.values() if with_memory else ()
            memory = [(store.kind, store.copy()) for store in stores]
            unrecorded = self.unrecorded_streams() if with_memory else frozenset()
        return Barrier(barrier, receipts, memory, counting, sums, unrecorded)

    def _marks(
        self, barrier: str, purpose: str, counting: str, sums: PartitionSums, epoch: int
    ) -> list[Receipt]:
        receipts = []
        for partition in range(self._partitions):
            event = BarrierPlaced(barrier, purpose, counting, sums.get(partition, {}))
            receipt = self._control.receipt(event, partition, epoch)
            receipt.digest = ""  # wanted
            receipts.append(receipt)
        return receipts

    def settle_sums(self) -> None:
        """Hash what was recorded and waits for it: a barrier behind this has little to do."""
        self.digests.settle()

    def written(self) -> Written:
        """Return what this process knows of its own outbox, whatever is in it by now."""
        return Written(self._outbox.heads(), self._outbox.firsts())

    def recorded_position(self) -> int:
        """Return the newest row given to an event, durable or not."""
        return self._commit.last_row

    def _look_after(self, committed: int) -> bool:
        """Do what is due between commits; say whether there is more. By the writing thread."""
        more = self.digests.step()
        return self.pruning.step(committed) or more

    def _require_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _on_halt(self, error: FerryError) -> None:
        self._closed = error
