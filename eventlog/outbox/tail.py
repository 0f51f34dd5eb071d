"""The newest durable events, still in memory, for a relay in the same process.

Reading them back from SQLite would give up the interpreter's lock once a row, and an app that is
busy takes milliseconds to give it back.
"""

import threading
from collections import deque
from typing import Any

from eventlog.outbox.columns import Columns

TAIL_ROWS = 10_000
TAIL_BYTES = 16 * 1024 * 1024
"""Rows and bytes of events kept at most, whichever is less: memory is bounded."""


class Tail:
    """A bounded window on the end of an outbox; written by the outbox, read by the relay."""

    def __init__(self, limit: int = TAIL_ROWS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: deque[Columns] = deque()
        self._rows = 0
        self._bytes = 0

    def add(self, columns: Columns) -> None:
        """Add rows that were just committed; the oldest beyond the limit are forgotten."""
        with self._lock:
            self._chunks.append(columns)
            self._rows += len(columns.rows)
            self._bytes += _bytes_of(columns)
            while self._chunks and (self._rows > self._limit or self._bytes > TAIL_BYTES):
                oldest = self._chunks.popleft()
                self._rows -= len(oldest.rows)
                self._bytes -= _bytes_of(oldest)

    def after(self, row: int, limit: int) -> Columns | None:
        """Return the rows behind `row`, at most `limit`; None where the window begins later."""
        with self._lock:
            if not self._chunks or self._chunks[0].rows[0] > row + 1:
                return None
            chunks = [chunk for chunk in self._chunks if chunk.rows[-1] > row]
        found: list[list[Any]] = [[] for _ in Columns._fields]
        for chunk in chunks:
            start = max(0, row + 1 - chunk.rows[0])
            for kept, more in zip(found, chunk, strict=True):
                kept.extend(more[start:])
            if len(found[0]) >= limit:
                break
        return Columns(*found).first(limit)


def _bytes_of(columns: Columns) -> int:
    return sum(map(len, columns.events))
