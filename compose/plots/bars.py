"""Bars: of what lasted, one below the other; and of drift, against the value that is too much."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from compose.plots.axis import NARROW, WIDE, Frame, render

_NAME_LENGTH = 44


class Bar(NamedTuple):
    """Something that lasted, from a second on, for so many."""

    name: str
    start_s: float
    seconds: float
    text: str
    good: bool


class Drift(NamedTuple):
    """How far a field's values in the target are from those in the source."""

    name: str
    value: float
    text: str
    good: bool


def bars(title: str, shown: Sequence[Bar]) -> Markup:
    """Draw bars below each other, the first at the top."""
    row, until_s = 24, max((bar.start_s + bar.seconds for bar in shown), default=1.0)
    left, right, top = 210, 150, WIDE.top
    across = WIDE.width - left - right
    places = [
        (
            bar,
            top + row * number,
            round(left + across * bar.start_s / until_s, 1),
            max(2.0, round(across * bar.seconds / until_s, 1)),
        )
        for number, bar in enumerate(shown)
    ]
    return render(
        "bars.svg.j2", title=title, width=WIDE.width, height=top + row * len(shown) + 8, left=left,
        row=row, places=places,
    )  # fmt: skip


def drift_bars(title: str, limit: float, shown: Sequence[Drift], frame: Frame = NARROW) -> Markup:
    """Draw a bar for each field, its name above it, and a line where there is too much drift."""
    row, left, right, top = 38, 4, 16, 24
    across = frame.width - left - right
    finite = [drift.value for drift in shown if math.isfinite(drift.value)]
    most = max([1.25 * limit, *finite])
    places = [
        (
            drift,
            drift.name if len(drift.name) <= _NAME_LENGTH else drift.name[:_NAME_LENGTH] + "…",
            top + row * number,
            _clamped(across * drift.value / most, across),
        )
        for number, drift in enumerate(shown)
    ]
    return render(
        "drift.svg.j2", title=title, width=frame.width, height=top + row * len(shown) + 4,
        left=left, top=top, limit=round(left + across * limit / most, 1), limit_text=f"{limit:g}",
        right=frame.width - right, places=places,
    )  # fmt: skip


def _clamped(length: float, most: float) -> float:
    """Return a length that can be seen and drawn: what has no end is as long as there is room."""
    return max(2.0, round(min(length, most), 1)) if math.isfinite(length) else most
