"""Watching the demo: events, rates, lag and memory, several times a second."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.live import Live
from rich.text import Text

from compose.demo.processes import Process
from projector.sql import query

_EVERY_S = 0.5
_PLAIN_EVERY_S = 5.0


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
        window: list[tuple[float, int]] = []
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
            now = time.monotonic()
            window = [*window, (now, self.applied)][-20:]
            rate = (self.applied - window[0][1]) / max(now - window[0][0], 1e-9)
            self._show(max(rate, 0.0), memory)
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

    def _show(self, rate: float, memory: dict[str, float]) -> None:
        used = " ".join(f"{name} {mb:.0f}" for name, mb in memory.items() if mb)
        lag = max(0, self.recorded - self.applied)
        text = (
            f"  recorded {self.recorded:,}  applied {self.applied:,}  {rate:,.0f}/s  "
            f"lag {lag:,}  MB: {used}"
        )
        if self._console.is_terminal:
            self._live.update(Text(text, style="dim", no_wrap=True), refresh=True)
        elif time.monotonic() - self._printed >= _PLAIN_EVERY_S:
            self._printed = time.monotonic()
            self._console.print(text, highlight=False, soft_wrap=True)
