"""Watching the demo: events, rates, lag and memory, several times a second."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import psycopg
from rich.console import Console
from rich.live import Live
from rich.text import Text

from compose.demo.processes import Process
from projector.sql import query

_EVERY_S = 0.25
_RATE_SAMPLES = 12
_PLAIN_EVERY_S = 5.0


class Sample(msgspec.Struct, frozen=True):
    """One look; `at` is monotonic, counts are events since the beginning."""

    at: float
    recorded: int
    applied: int
    memory_mb: dict[str, float]

    @property
    def lag(self) -> int:
        """Events that are recorded and not in the tables."""
        return max(0, self.recorded - self.applied)


class Watch:
    """A thread that samples, and one status line on the terminal."""

    def __init__(
        self, console: Console, processes: Sequence[Process], dsn: str, projection: str
    ) -> None:
        self._console = console
        self._processes = processes
        self._dsn = dsn
        self._projection = projection
        self._ended = threading.Event()
        self._live = Live(Text(""), console=console, transient=True, auto_refresh=False)
        self._thread = threading.Thread(target=self._run, name="demo-watch", daemon=True)
        self._printed = 0.0
        self.app_url = ""
        self.recorded = 0
        self.applied = 0
        self.samples: list[Sample] = []

    def __enter__(self) -> "Watch":
        if self._console.is_terminal:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._console.is_terminal:
            self._live.stop()

    def _run(self) -> None:
        conn: psycopg.Connection[Any] | None = None
        while not self._ended.wait(_EVERY_S):
            memory = {process.name: process.sample() for process in self._processes}
            try:
                conn = conn or psycopg.connect(self._dsn, autocommit=True, connect_timeout=2)
                row = conn.execute(query("events_applied"), (self._projection,)).fetchone()
                self.applied = row[0] if row else 0
            except psycopg.Error:
                conn = None
            self._ask_app()
            self.samples.append(Sample(time.monotonic(), self.recorded, self.applied, memory))
            self._show()
        if conn is not None:
            conn.close()

    def _ask_app(self) -> None:
        if not self.app_url:
            return
        try:
            state = httpx.get(f"{self.app_url}/state", timeout=2).json()
        except (httpx.HTTPError, ValueError):
            return
        shim = state.get("shim") or {}
        self.recorded = shim.get("durable_row", self.recorded)

    def _show(self) -> None:
        now, before = self.samples[-1], self.samples[-_RATE_SAMPLES:][0]
        rate = max(0.0, (now.applied - before.applied) / max(now.at - before.at, 1e-9))
        used = " ".join(f"{name} {mb:.0f}" for name, mb in now.memory_mb.items() if mb)
        text = (
            f"  recorded {now.recorded:,}  applied {now.applied:,}  {rate:,.0f}/s  "
            f"lag {now.lag:,}  MB: {used}"
        )
        if self._console.is_terminal:
            self._live.update(Text(text, style="dim", no_wrap=True), refresh=True)
        elif time.monotonic() - self._printed >= _PLAIN_EVERY_S:
            self._printed = time.monotonic()
            self._console.print(text, highlight=False, soft_wrap=True)
