"""One status line while something runs; plain lines, seldom, where there is no terminal."""

import resource
import threading
import time
from collections.abc import Callable

import msgspec
from rich.live import Live
from rich.text import Text

from compose.cli.output import err
from projector.migration.progress import MigrationProgress
from projector.progress import Progress

_PLAIN_EVERY_S = 5.0
_RATE_S = 1.0


class View(msgspec.Struct, frozen=True):
    """What the line says: what is done of what, how far behind, or what is waited for."""

    label: str
    done: int = 0
    total: int = 0
    unit: str = "events"
    lag: int | None = 0
    """Records; None where it is not known yet."""
    waits_for: str = ""
    parked: int = 0


class StatusLine:
    """Shows place, share, rate, lag, memory, and a time left or what is waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the terminal's refreshing thread reads, too
        self._view = View("")
        self._since = time.monotonic()
        self._printed = -_PLAIN_EVERY_S
        self._window = (self._since, 0)
        self._rate = 0.0
        self._live = (
            Live(console=err, transient=True, get_renderable=self._text)
            if err.is_terminal
            else None
        )

    def __enter__(self) -> "StatusLine":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def of_projector(self, label: str, total: int = 0) -> Callable[[Progress], None]:
        """Return what shows a projector's progress, of a run or a replay."""
        return lambda progress: self.show(
            View(
                label,
                progress.applied,
                total,
                lag=progress.lag,
                waits_for="events",
                parked=progress.parked,
            )
        )

    def of_migration(self, progress: MigrationProgress) -> None:
        """Show a migration's progress."""
        self.show(
            View(
                f"{progress.number}/{progress.phases} {progress.phase}",
                progress.done,
                progress.total,
                progress.unit,
                progress.lag,
                progress.waits_for,
            )
        )

    def show(self, view: View) -> None:
        """Show something; without a terminal not more often than a person wants to read."""
        now = time.monotonic()
        with self._lock:
            new = view.label != self._view.label
            if new:
                self._since, self._window, self._rate = now, (now, view.done), 0.0
            elif now - self._window[0] >= _RATE_S:
                self._rate = (view.done - self._window[1]) / (now - self._window[0])
                self._window = (now, view.done)
            self._view = view
        if self._live is None and (new or now - self._printed >= _PLAIN_EVERY_S):
            self._printed = now
            err.print(self._text(), soft_wrap=True)

    def _text(self) -> Text:
        with self._lock:
            view, rate, waited_s = self._view, self._rate, time.monotonic() - self._since
        parts = [view.label]
        if view.total:
            share = view.done / view.total
            parts.append(f"{view.done:,}/{view.total:,} ({share:.0%}) {view.unit}")
        elif view.done:
            parts.append(f"{view.done:,} {view.unit}")
        if rate:
            parts.append(f"{rate:,.0f}/s")
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if view.parked:
            parts.append(f"parked {view.parked:,}")
        lag = "?" if view.lag is None else f"{view.lag:,}"
        parts += [f"lag {lag}", f"{rss_mb} MB", _end_of(view, rate, waited_s)]
        return Text("  ".join(part for part in parts if part), no_wrap=True, overflow="ellipsis")


def _end_of(view: View, rate: float, waited_s: float) -> str:
    if rate > 0 and view.total > view.done:
        return f"{(view.total - view.done) / rate:.0f} s left"
    if rate > 0 and view.lag and not view.total:
        return f"{view.lag / rate:.0f} s behind"
    if view.waits_for:
        return f"waits {waited_s:.0f} s for {view.waits_for}"
    return ""
