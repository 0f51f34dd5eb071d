"""One status line while something runs; plain lines, seldom, where there is no terminal."""

import resource
import time
from collections.abc import Callable

from rich.live import Live
from rich.text import Text

from compose.cli.output import err
from projector.runner import Progress

_PLAIN_EVERY_S = 5.0
_REFRESH_S = 0.1


class StatusLine:
    """Shows applied events, events/s, lag and memory on standard error."""

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label = label
        self._total = total
        self._started = time.monotonic()
        self._shown = 0.0
        self._window = (self._started, 0)
        self._rate = 0.0
        self._live = Live(Text(label), console=err, transient=True) if err.is_terminal else None

    def __enter__(self) -> Callable[[Progress], None]:
        if self._live is not None:
            self._live.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show a run's progress, not more often than a person can read."""
        now = time.monotonic()
        if now - self._shown < (_REFRESH_S if self._live else _PLAIN_EVERY_S):
            return
        self._shown = now
        if now - self._window[0] >= 1.0 or not self._rate:
            self._rate = (progress.applied - self._window[1]) / max(now - self._window[0], 1e-9)
            self._window = (now, progress.applied)
        text = self._text(progress)
        if self._live is not None:
            self._live.update(Text(text))
        else:
            err.print(text)

    def _text(self, progress: Progress) -> str:
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        done = f"{progress.applied:,}"
        if self._total:
            done += f"/{self._total:,} ({progress.applied / self._total:.0%})"
        eta = "waiting for events"
        if self._total and self._rate:
            eta = f"{max(0, self._total - progress.applied) / self._rate:.0f} s left"
        elif progress.lag and self._rate:
            eta = f"{progress.lag / self._rate:.0f} s behind"
        return (
            f"{self._label}  {done} events  {self._rate:,.0f}/s  lag {progress.lag:,}  "
            f"{rss_mb} MB  {eta}"
        )
