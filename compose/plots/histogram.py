"""Two distributions of one field: the share of the values in each bin, side by side."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from compose.plots.axis import NARROW, Frame, Tick, render, steps

_EDGES_NAMED = 6
_THOUSAND = 1000


class Column(NamedTuple):
    """One bin's two bars, in pixels, and what a pointer over it is told."""

    x: float
    width: float
    source_y: float
    target_y: float
    text: str


def histogram(
    title: str,
    edges: Sequence[float],
    source: Sequence[float],
    target: Sequence[float],
    frame: Frame = NARROW,
) -> Markup:
    """Draw the shares of each bin; `edges` are one more than the shares, from low to high.

    Bins are drawn equally wide, whatever their edges: those of a population stability index are
    narrow where values are many.
    """
    rows = steps(max([*source, *target], default=1.0), 4)
    bins = max(len(source), 1)
    wide = frame.across / bins
    bottom = frame.height - frame.bottom

    def y_of(share: float) -> float:
        return round(frame.top + frame.down * (1 - share / rows[-1]), 1)

    columns = [
        Column(
            round(frame.left + wide * number + wide * 0.1, 1),
            round(wide * 0.4, 1),
            y_of(here),
            y_of(there),
            f"{number_text(edges[number])} to {number_text(edges[number + 1])}: "
            f"source {here:.1%}, target {there:.1%}",
        )
        for number, (here, there) in enumerate(zip(source, target, strict=True))
    ]
    every = -(-len(edges) // _EDGES_NAMED)
    return render(
        "histogram.svg.j2",
        title=title,
        frame=frame,
        right=frame.width - frame.right,
        bottom=bottom,
        rows=[Tick(y_of(share), f"{share * 100:g}") for share in rows],
        edges=[
            Tick(round(frame.left + wide * number, 1), number_text(edge))
            for number, edge in enumerate(edges)
            if number % every == 0
        ],
        columns=columns,
    )


def number_text(value: float) -> str:
    """Return a number short enough for an axis: `1.25`, `12.5k`, `3M`, `2e+09`."""
    for limit, divisor, unit in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if limit <= abs(value) < limit * _THOUSAND:
            return f"{value / divisor:.3g}{unit}"
    return f"{value:.0f}" if _THOUSAND <= abs(value) < 1e4 else f"{value:.3g}"
