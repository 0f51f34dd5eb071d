"""Writes held for longer than a fence: the same lease, renewed by the run for as long as it lives.

Only stop and copy does this. The run's death ends the renewals, and the lease the hold.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import psycopg

from projector.control_tables import connect
from projector.migration import fences
from projector.migration.fences import Fence, FenceBroken
from projector.sql import query
from schemas.settings import Settings

_RENEWALS_PER_LEASE = 4


class Hold:
    """A fence that a thread renews, on a connection of its own."""

    def __init__(self, settings: Settings, projection: str) -> None:
        self._settings = settings
        self._projection = projection
        self._lease_s = settings.migration.max_downtime_ms / 1000
        self._conn = connect(settings, "hold")
        self._fence: Fence | None = None
        self._sources: Sequence[str] = ()
        self._ending = threading.Event()
        self._broken = ""
        self._thread = threading.Thread(target=self._renew, name="memferry-hold", daemon=True)

    def take(self, sources: Sequence[str]) -> None:
        """Hold every writer; raises FenceBroken where one did not answer in time."""
        self._sources = sources
        self._conn.execute("LISTEN memferry_fence_answer")
        fence = self._fence = fences.ask(self._conn, self._settings, self._projection, "hold")
        try:
            wanted = ("fenced", "caught_up")
            fences.wait_for(self._conn, fence.id, sources, wanted, self._lease_s)
        except FenceBroken as error:
            self._abort(error.what)
            self._conn.close()
            raise
        self._thread.start()

    def require_unbroken(self) -> None:
        """Check that every writer still stands; raises FenceBroken."""
        if self._broken:
            raise FenceBroken(
                f"writes were not held to the end: {self._broken}",
                where=f"projection {self._projection}",
                remedy="run it again; `migrate --zero-downtime` holds nobody",
            )

    def release(self) -> float:
        """Let writes go on; return for how many ms they were held, by the writers' clocks."""
        self._ending.set()
        self._thread.join()
        try:
            if self._fence is None:
                return 0.0
            with self._conn.transaction():
                self._conn.execute(query("fence_release"), (self._fence.id,))
                self._conn.execute(query("fence_notify"), (self._projection,))
            with suppress(FenceBroken):  # a writer whose report is late goes on by its lease
                fences.wait_for(
                    self._conn, self._fence.id, self._sources, ("opened",), self._lease_s + 1
                )
            said = fences.answers(self._conn, self._fence.id)
            return max((answer.pause_ms or 0.0 for answer in said.values()), default=0.0)
        finally:
            self._conn.close()

    def _renew(self) -> None:
        until = time.monotonic() + self._settings.migration.timeout_ms / 1000
        fence = self._fence
        while fence and not self._ending.wait(self._lease_s / _RENEWALS_PER_LEASE):
            if time.monotonic() > until:
                self._broken = (
                    f"writes were held for {self._settings.migration.timeout_ms} ms "
                    "(`migration.timeout_ms`)"
                )
                self._abort(self._broken)
                return
            try:
                if self._conn.execute(query("fence_renew"), (fence.id,)).fetchone() is None:
                    self._broken = "the lease ended between two renewals"
                    return
            except psycopg.Error as error:
                self._broken = f"the lease could not be renewed: {error}"
                return

    def _abort(self, reason: str) -> None:
        if self._fence is not None:
            fences.abort(self._conn, self._fence.id, reason)
