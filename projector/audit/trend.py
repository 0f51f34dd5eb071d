"""How audits went over time: plain functions over the history."""

from collections.abc import Sequence

from projector.audit.history import KeptAudit
from projector.audit.report import TimeSeries

_FIGURES = (("findings", "findings"), ("score", "of 100"), ("seconds", "s"), ("rows", "rows"))
_BARS = "▁▂▃▄▅▆▇█"


def series_of(kept: Sequence[KeptAudit]) -> list[TimeSeries]:
    """Return findings, score, seconds and rows of audits that came to a report, over time.

    `kept` is as the history gives it, the newest first.
    """
    done = [audit for audit in reversed(kept) if audit.verdict in {"clean", "findings"}]
    series = []
    for name, unit in _FIGURES:
        points = [
            (audit.started_at.timestamp(), float(value))
            for audit in done
            if (value := getattr(audit, name)) is not None
        ]
        if points:
            at_s, values = zip(*points, strict=True)
            series.append(TimeSeries(name, unit, list(at_s), list(values)))
    return series


def arrow(value: float | None, before: float | None) -> str:
    """Return in which direction a value went: ↑, ↓ or →; nothing where one is not known."""
    if value is None or before is None:
        return ""
    return "→" if value == before else "↑" if value > before else "↓"


def sparkline(values: Sequence[float]) -> str:
    """Return values as bars, the lowest of them the lowest bar; all alike, low ones."""
    if not values:
        return ""
    low, span = min(values), max(values) - min(values)
    if not span:
        return _BARS[0] * len(values)
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)
