"""The fence: a gate in front of every mutation, closed for a lease that nobody has to end.

A lease is a duration on this process's monotonic clock, counted from when it was taken: whoever
asked for it may die, and the gate opens by itself.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from eventlog.receipts import Watermark

_UNTIL_OPENED_S = 10.0**8  # three years: a number that every kind of waiting takes


class Pause(NamedTuple):
    """A fence that is over: its name, how long the gate was closed, and whether its lease ended."""

    name: str
    seconds: float
    lapsed: bool


class Fence:
    """Leases by name; while one lasts, mutations wait.

    `lock` is free while a mutation waits; what orders mutations is another lock, which is not.
    """

    def __init__(self, lock: threading.RLock, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = lock
        self._clock = clock
        self._changed = threading.Condition(lock)
        self._closed_at: dict[str, float] = {}
        self._lapsed: list[Pause] = []
        self._openings = Watermark()
        self.leases: dict[str, float] = {}
        """Name → when it ends, monotonic; empty while the gate is open. Read under the lock."""

    def close(self, name: str, lease_s: float) -> None:
        """Hold mutations from now on, for `lease_s` at most."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            self._closed_at[name] = now
            self.leases[name] = now + lease_s

    def prolong(self, name: str, lease_s: float) -> bool:
        """Hold mutations for `lease_s` from now on; False where the lease has ended already."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            if name not in self.leases:
                return False
            self.leases[name] = now + lease_s
            return True

    def keep(self, name: str) -> bool:
        """Hold mutations until `open`, whatever the lease; False where it has ended already."""
        return self.prolong(name, _UNTIL_OPENED_S)

    def open(self, name: str) -> Pause | None:
        """Let mutations go on, as far as no other lease holds them; None where this one is over."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            if name not in self.leases:
                return None
            return self._end(name, now, lapsed=False)

    def open_all(self) -> None:
        """Let mutations go on whatever was agreed: the shim is closing."""
        with self._lock:
            now = self._clock()
            self._expire(now)
            for name in list(self.leases):
                self._end(name, now, lapsed=False)

    def wait(self) -> None:
        """Block the calling thread, which has the lock, until no lease lasts any more."""
        while self.leases:
            now = self._clock()
            self._expire(now)
            if self.leases:
                self._changed.wait(max(self.leases.values()) - now)

    async def until_open(self) -> None:
        """Return once no lease lasts; an asyncio app awaits this before it mutates."""
        while True:
            seen = self._openings.value
            left = self.left()
            if left <= 0:
                return
            await self._openings.reached(seen + 1, left)

    def left(self) -> float:
        """Return for how many seconds the gate is still closed, 0 where it is open."""
        with self._lock:
            return max([0.0, *(end - self._clock() for end in self.leases.values())])

    def lapsed(self) -> list[Pause]:
        """Return the fences whose leases ended since the last call."""
        with self._lock:
            self._expire(self._clock())
            found, self._lapsed = self._lapsed, []
            return found

    def _expire(self, now: float) -> None:
        for name in [name for name, end in self.leases.items() if end <= now]:
            self._lapsed.append(self._end(name, self.leases[name], lapsed=True))

    def _end(self, name: str, at: float, *, lapsed: bool) -> Pause:
        del self.leases[name]
        pause = Pause(name, at - self._closed_at.pop(name), lapsed)
        if not self.leases:
            self._changed.notify_all()
            self._openings.advance(self._openings.value + 1)
        return pause
