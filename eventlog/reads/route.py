"""Where reads go now, and who is told when that changes."""

import threading
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

Route: TypeAlias = Literal["memory", "shadow", "postgres"]
"""memory: the app's containers answer. shadow: so they do, and the tables are compared behind the
caller's back. postgres: the tables answer."""


class Switched(NamedTuple):
    """A route and the number of the decision that set it."""

    route: Route
    decision: int


class ReadRoute:
    """The present route of one app. Safe to use from any number of threads."""

    def __init__(self, route: Route = "memory", decision: int = 0) -> None:
        self.now = Switched(route, decision)
        """Read at once: route and decision belong together."""
        self._lock = threading.RLock()
        self._followers: list[Callable[[Switched], None]] = []

    def set(self, route: Route, decision: int) -> bool:
        """Let reads that begin from now on go this way.

        Returns: False where a later decision came before: nothing has changed.
        """
        with self._lock:
            if decision < self.now.decision:
                return False
            before, self.now = self.now, Switched(route, decision)
            if before != self.now:
                for follower in self._followers:
                    follower(self.now)
        return True

    def on_change(self, follower: Callable[[Switched], None]) -> None:
        """Have `follower` called after each change, in their order, by the thread that made it."""
        with self._lock:
            self._followers.append(follower)
