"""Reads that memory has answered, asked of the tables behind the caller's back."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from eventlog.reads.comparison import Comparison, Mismatch
from eventlog.reads.question import Question
from schemas.errors import FerryError

_WAITING_MAX = 256
_KEPT = 20
log = logging.getLogger("memferry.reads")


class ShadowCounts(msgspec.Struct, frozen=True):
    """What became of the reads that were answered on the shadow route."""

    compared: int
    mismatched: int
    """Of those compared: reads in whose answer an entity differed."""
    dropped: int
    """Not compared: too many waited already."""
    failed: int
    """Not compared: the tables did not answer, or did not get as far in time."""


class _Read(NamedTuple):
    kind: str
    question: Question
    answered: Sequence[Any]


class Shadow:
    """One thread that compares, begun by the first read offered; trouble stays with it."""

    def __init__(
        self, comparison_of: Callable[[str], Comparison], waiting_max: int = _WAITING_MAX
    ) -> None:
        self._comparison_of = comparison_of
        self._reads: queue.Queue[_Read | None] = queue.Queue(waiting_max)
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(ShadowCounts.__struct_fields__, 0)
        self._mismatches: deque[Mismatch] = deque(maxlen=_KEPT)
        self._thread: threading.Thread | None = None
        self._ended = False
        self.last_failure = ""
        """Why the newest of the `failed` could not be compared."""

    def offer(self, kind: str, question: Question, answered: Sequence[Any]) -> None:
        """Have a read compared some time; never blocks, never raises."""
        with self._lock:
            if self._ended:
                return
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="memferry-shadow", daemon=True
                )
                self._thread.start()
            try:
                self._reads.put_nowait(_Read(kind, question, answered))
            except queue.Full:
                self._counts["dropped"] += 1

    def counts(self) -> ShadowCounts:
        """Return what became of all reads so far."""
        with self._lock:
            return ShadowCounts(**self._counts)

    def mismatches(self) -> list[Mismatch]:
        """Return the newest mismatches, the oldest of them first."""
        with self._lock:
            return list(self._mismatches)

    def join(self) -> None:
        """Return once every read offered so far is done with."""
        self._reads.join()

    def close(self, timeout: float) -> None:
        """End the thread behind the comparison that is under way; the rest is not compared."""
        with self._lock:
            self._ended = True
            thread = self._thread
        if thread is not None:
            while True:
                try:
                    self._reads.put_nowait(None)
                    break
                except queue.Full:
                    self._drop_one()
            thread.join(timeout)

    def _drop_one(self) -> None:
        try:
            self._reads.get_nowait()
        except queue.Empty:
            return
        self._reads.task_done()
        self._count("dropped")

    def _run(self) -> None:
        while True:
            read = self._reads.get()
            try:
                if read is None:
                    return
                if not self._ended:
                    self._compare(read)
            finally:
                self._reads.task_done()

    def _compare(self, read: _Read) -> None:
        try:
            found = self._comparison_of(read.kind).answer(read.question, read.answered)
        except FerryError as error:
            self.last_failure = str(error)
            self._count("failed")
        except Exception as error:  # the app's reads go on, whatever a comparison meets
            log.exception("a read of kind %r could not be compared", read.kind)
            self.last_failure = repr(error)
            self._count("failed")
        else:
            with self._lock:
                self._counts["compared"] += 1
                self._counts["mismatched"] += bool(found)
                self._mismatches.extend(found)

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
