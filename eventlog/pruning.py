"""When rows of the outbox may go: every projection that is not held has them, and Kafka is safe."""

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from eventlog.outbox.contract import Outbox, Safe
from eventlog.receipts import Promises
from schemas.settings import Outbox as OutboxSettings
from schemas.sql import statement

if TYPE_CHECKING:
    from eventlog.listener import Connection
    from eventlog.outbox.contract import OutboxIdentity

_ROWS_AT_ONCE = 250
"""About a millisecond, which a commit behind it waits for."""
_ASK_EVERY_S = 1.0


class Pruning:
    """Deletes what is safe elsewhere, by the outbox's writing thread, between its commits."""

    def __init__(self, outbox: Outbox, options: OutboxSettings, promises: Promises) -> None:
        self.wanted = options.prune == "applied"
        self._outbox = outbox
        self._promises = promises
        self._kept_s = options.command_ids_kept_h * 3_600.0
        self._lock = threading.Lock()
        self._applied: Mapping[int, int] = {}
        self._news = False
        self._next_ask = 0.0

    def ask(self, conn: "Connection", identity: "OutboxIdentity") -> None:
        """Look up, now and then, what every projection of the topic has applied."""
        now = time.monotonic()
        if not self.wanted or now < self._next_ask:
            return
        self._next_ask = now + _ASK_EVERY_S
        found = conn.execute(
            statement("applied_by_all"),
            {
                "topic": identity.topic,
                "source": identity.source,
                "generation": identity.generation,
            },
        )
        self.allow(dict(found.fetchall()))

    def allow(self, applied: Mapping[int, int]) -> None:
        """Let go of what is applied up to here: partition → seq; from any thread."""
        with self._lock:
            self._news = True  # also where it is the same: Kafka may have more of it by now
            self._applied = dict(applied)

    def step(self, committed: int) -> bool:
        """Delete a little after a commit of so many rows; say whether there is more to delete."""
        with self._lock:
            if not self._news:
                return False
            applied = self._applied
        # Never slower than what comes in, or the file would grow for ever.
        limit = max(_ROWS_AT_ONCE, 2 * committed)
        safe = Safe(self._promises.replicated_row, applied)
        if self._outbox.prune(safe, limit, self._kept_s) >= limit:
            return True
        with self._lock:
            self._news = applied is not self._applied
        return False
