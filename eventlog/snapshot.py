"""The first snapshot, while the app trades: what memory held before the shim was attached."""

import logging
import threading

from eventlog.recorder import Recorder
from schemas.control import SnapshotCompleted
from schemas.errors import FerryError
from schemas.requests import SnapshotAnswer

log = logging.getLogger("memferry.snapshot")
CHUNK_STREAMS = 64
"""Streams recorded in one hold of the shim's lock: well under a millisecond for small entities."""


class Snapshot:
    """Records every stream that the log does not hold yet, in chunks, in a thread of its own.

    A stream that the app mutates first records its own snapshot in the same step, so no old state
    is ever written after a newer one. Run again after a crash, it records only what is missing.
    """

    def __init__(self, ferry: Recorder) -> None:
        self._ferry = ferry
        self._thread: threading.Thread | None = None
        self.done = threading.Event()
        self.error: FerryError | None = None
        self.streams = 0
        self.entities = 0
        self.total = 0

    def start(self) -> None:
        """Begin, once; `done` is set when the last entity is queued or the shim stopped."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memferry-snapshot", daemon=True)
            self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread to end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def progress(self) -> SnapshotAnswer:
        """Return how far it is, in streams."""
        error = str(self.error) if self.error else ""
        return SnapshotAnswer(self.streams, self.total, self.done.is_set(), error)

    def _run(self) -> None:
        ferry = self._ferry
        try:
            work: list[tuple[str, list[str]]] = []
            with ferry.memory_lock:
                for kind, store in ferry.stores().items():
                    missing = [s for s in store.streams() if not ferry.is_known(s)]
                    work.append((kind, missing))
            self.total = sum(len(streams) for _, streams in work)
            for kind, streams in work:
                for start in range(0, len(streams), CHUNK_STREAMS):
                    chunk = streams[start : start + CHUNK_STREAMS]
                    self.entities += ferry.record_snapshot(kind, chunk)
                    self.streams += len(chunk)
                ferry.mark_whole(kind)
            receipt = ferry.record_control(
                SnapshotCompleted(ferry.source, self.streams, self.entities)
            )
            receipt.durable()
        except FerryError as error:
            self.error = error
            log.exception("the first snapshot stopped")
        finally:
            self.done.set()
