"""The newest durable events, still in memory, for a relay in the same process.

Reading them back from SQLite would give up the interpreter's lock once a row, and an app that is
busy takes milliseconds to give it back.
"""

import threading
from collections import deque
from collections.abc import Sequence

from eventlog.outbox.contract import OutboxRow

TAIL_ROWS = 10_000
TAIL_BYTES = 16 * 1024 * 1024
"""Rows and bytes of events kept at most, whichever is less: memory is bounded."""


class Tail:
    """A bounded window on the end of an outbox; written by the outbox, read by the relay."""

    def __init__(self, limit: int = TAIL_ROWS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: deque[Sequence[OutboxRow]] = deque()
        self._rows = 0
        self._bytes = 0

    def add(self, rows: Sequence[OutboxRow]) -> None:
        """Add rows that were just committed; the oldest beyond the limit are forgotten."""
        with self._lock:
            self._chunks.append(rows)
            self._rows += len(rows)
            self._bytes += _bytes_of(rows)
            while self._chunks and (self._rows > self._limit or self._bytes > TAIL_BYTES):
                oldest = self._chunks.popleft()
                self._rows -= len(oldest)
                self._bytes -= _bytes_of(oldest)

    def after(self, row: int, limit: int) -> list[OutboxRow] | None:
        """Return the rows behind `row`, at most `limit`; None where the window begins later."""
        with self._lock:
            if not self._chunks or self._chunks[0][0].row > row + 1:
                return None
            chunks = [chunk for chunk in self._chunks if chunk[-1].row > row]
        found: list[OutboxRow] = []
        for chunk in chunks:
            found += chunk[max(0, row + 1 - chunk[0].row) :]
            if len(found) >= limit:
                break
        return found[:limit]


def _bytes_of(rows: Sequence[OutboxRow]) -> int:
    return sum(len(row.event) for row in rows)
