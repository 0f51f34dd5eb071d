"""Snapshots while the app trades: first all that the log does not hold, later what changed."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from eventlog.capture import Capturing
from eventlog.changed import Changed, StateNotRecordable, changed
from eventlog.outbox.contract import OutboxReader
from eventlog.stores import DictStore, Store
from eventlog.watched import WatchedStore
from eventlog.window_store import WindowStore
from schemas.control import SnapshotCompleted
from schemas.errors import FerryError
from schemas.requests import SnapshotAnswer

log = logging.getLogger("memferry.snapshot")
CHUNK_STREAMS = 64
"""Streams recorded in one hold of the shim's lock: well under a millisecond for small entities."""
T = TypeVar("T")


class Snapshot:
    """Records every stream that the log does not hold yet, in chunks, in a thread of its own.

    A stream that the app mutates first records its own snapshot in the same step, so no old state
    is ever written after a newer one. Run again after a crash, it records only what is missing.
    Asked for once more in the same process, it compares memory with the log, too, and records
    what changed without being recorded: each entity as it is at that moment.
    """

    def __init__(self, ferry: Capturing, open_reader: Callable[[], OutboxReader]) -> None:
        self._ferry = ferry
        self._open_reader = open_reader
        self._gone: list[str] = []
        self._thread: threading.Thread | None = None
        self._begin = threading.Lock()
        self._completed = False
        self.done = threading.Event()
        self.error: FerryError | None = None
        self.streams = 0
        self.entities = 0
        self.total = 0

    def start(self) -> None:
        """Begin, once; `done` is set when the last entity is queued or the shim stopped."""
        with self._begin:
            if self._thread is None:
                self._run_in_thread(again=False)

    def again(self) -> None:
        """Begin, or where it is done begin another one; one under way goes on."""
        with self._begin:
            if self._thread is None or self.done.is_set():
                self._run_in_thread(again=self._thread is not None)

    def complete(self) -> None:
        """Begin, also where one is done: what was registered since, or stopped, is not recorded.

        What the log holds already is not looked at, as `again` does.
        """
        with self._begin:
            if self._thread is None or self.done.is_set():
                self._run_in_thread(again=False)

    def join(self, timeout: float) -> None:
        """Wait for the thread to end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def progress(self) -> SnapshotAnswer:
        """Return how far it is, in streams."""
        error = str(self.error) if self.error else ""
        return SnapshotAnswer(self.streams, self.total, self.done.is_set(), error)

    def _run_in_thread(self, *, again: bool) -> None:
        self.done.clear()
        self.error = None
        self.streams = self.entities = self.total = 0
        self._gone = []
        self._thread = threading.Thread(
            target=self._run, args=(again,), name="memferry-snapshot", daemon=True
        )
        self._thread.start()

    def _run(self, again: bool) -> None:
        ferry = self._ferry
        try:
            stores = ferry.stores()
            # Counted first, for the progress; names are held of one kind at a time.
            self.total = sum(len(self._missing(store)) for store in stores.values())
            for kind, store in stores.items():
                if again:
                    self._record_changed(store)
                for chunk in _chunks(self._missing(store)):
                    self.entities += ferry.record_snapshot(kind, chunk)
                    self.streams += len(chunk)
                ferry.mark_whole(kind)
            self._require_none_gone()
            if self.streams or not self._completed:
                ferry.record_control(
                    SnapshotCompleted(ferry.source, self.streams, self.entities)
                ).durable()
                self._completed = True
        except FerryError as error:
            self.error = error
            log.exception("the snapshot stopped")
        finally:
            self.done.set()

    def _require_none_gone(self) -> None:
        if self._gone:
            raise StateNotRecordable(
                f"{len(self._gone)} entities are gone from memory, and their kinds have no event "
                f"that ends one: {', '.join(self._gone[:3])}",
                where=f"source {self._ferry.source}",
                remedy="record the event of yours that ends them, or declare the Kind's `removal`",
            )

    def _missing(self, store: Store) -> list[str]:
        with self._ferry.memory_lock:
            return [stream for stream in store.streams() if not self._ferry.is_known(stream)]

    # --- what changed without being recorded

    def _record_changed(self, store: Store) -> None:
        if isinstance(store, WatchedStore):
            with self._ferry.memory_lock:
                keys = list(dict.fromkeys([*store.recorded, *store.content()]))
            for chunk in _chunks(keys):
                self._record_differences(store, chunk)
        elif isinstance(store, DictStore | WindowStore):
            self._record_unlike_the_log(store)
        # Recorded collections are changed by recording alone.

    def _record_differences(self, store: WatchedStore, keys: Sequence[Any]) -> None:
        """Record what a watched container has otherwise, but for what a block is changing now."""
        ferry = self._ferry
        ferry.begin_change()
        try:
            free = [key for key in keys if not any(block.covers(key) for block in store.blocks)]
            for one in store.differences(free):
                ends = one.entity is None
                entity = store.was(one.key) if ends else one.entity
                ferry.record_states([(store, entity, ends)], lambda d=one: store.take((d,)))  # type: ignore[misc]
                self._count()
        finally:
            ferry.end_change()

    def _record_unlike_the_log(self, store: Store) -> None:
        """Compare a store with the log, and again where memory was set back meanwhile."""
        ferry, done = self._ferry, False
        while not done:
            with ferry.memory_lock:
                copy, row = store.copy(), ferry.recorded_position()
                count = ferry.rollbacks.count
            if not self._any_known(store):
                return
            ferry.durable.wait(row, None)
            reader = self._open_reader()
            try:
                done = all(
                    self._record_bucket(store, bucket, count)
                    for bucket in changed(store, copy, reader, row)
                )
            finally:
                reader.close()

    def _record_bucket(self, store: Store, bucket: Sequence[Changed], count: int) -> bool:
        self.total += len(bucket)
        return all(self._record_chunk(store, chunk, count) for chunk in _chunks(bucket))

    def _any_known(self, store: Store) -> bool:
        with self._ferry.memory_lock:
            return any(self._ferry.is_known(stream) for stream in store.streams())

    def _record_chunk(self, store: Store, chunk: Sequence[Changed], count: int) -> bool:
        """Record the present state of entities, whatever it was when they were compared.

        False where memory was set back since: it is to be compared anew.
        """
        ferry = self._ferry
        ferry.begin_change()
        try:
            if ferry.rollbacks.count != count:
                return False
            ferry.rollbacks.forget()  # it would take for the log's what was not recorded
            # Memory holds the new state already, and only the log knows what was recorded before.
            ferry.digests.spoil(f"{store.kind.name} changed without being recorded")
            for key, ended in chunk:
                entity = store.get(key)
                if entity is not None:
                    # A stream that nobody recorded yet is not changed, but missing.
                    if ferry.is_known(store.kind.stream_getter()(entity)):
                        ferry.record_states([(store, entity, False)], _nothing)
                        self._count()
                elif ended is not None and store.kind.removal is None:
                    self._gone.append(f"{store.kind.name} {key}")
                elif ended is not None:
                    ferry.record_states([(store, ended, True)], _nothing)
                    self._count()
            return True
        finally:
            ferry.end_change()

    def _count(self) -> None:
        self.streams += 1
        self.entities += 1


def _nothing() -> None:
    """Memory has changed already."""


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), CHUNK_STREAMS):
        yield values[start : start + CHUNK_STREAMS]
