"""Lines and points over time, with marks of what happened."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from compose.plots.axis import WIDE, Frame, Tick, label, render, steps, times


class Series(NamedTuple):
    """One line, or points where there is nothing between them; x in seconds."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


class Mark(NamedTuple):
    """Something that happened, at a second."""

    name: str
    at_s: float


class Drawn(NamedTuple):
    """A series in pixels."""

    name: str
    colour: str
    path: str
    dots: Sequence[tuple[float, float]]


def plot(
    title: str, unit: str, series: Sequence[Series], marks: Sequence[Mark], until_s: float
) -> Markup:
    """Draw series over the seconds of a run, with marks; `unit` is the vertical axis's."""
    columns = [(second, f"{second:g} s") for second in steps(until_s)[:-1]]
    return _plot(WIDE, title, unit, series, marks, (0.0, until_s), columns)


def plot_times(title: str, unit: str, series: Sequence[Series], frame: Frame) -> Markup:
    """Draw series over times of the Unix epoch, in UTC, from the first point to the last."""
    at = [x for one in series for x, _ in one.points]
    start_s, end_s = min(at, default=0.0), max(at, default=1.0)
    columns = times(start_s, end_s, 4)
    return _plot(frame, title, unit, series, (), (start_s, end_s), columns)


def _plot(  # noqa: PLR0917
    frame: Frame,
    title: str,
    unit: str,
    series: Sequence[Series],
    marks: Sequence[Mark],
    span: tuple[float, float],
    columns: Sequence[tuple[float, str]],
) -> Markup:
    rows = steps(max((y for one in series for _, y in one.points), default=0.0))
    start_s, end_s = span

    def x_of(seconds: float) -> float:
        share = (seconds - start_s) / max(end_s - start_s, 1e-9)
        return round(frame.left + frame.across * share, 1)

    def y_of(value: float) -> float:
        return round(frame.top + frame.down * (1 - value / rows[-1]), 1)

    drawn = []
    for one in series:
        places = [(x_of(x), y_of(y)) for x, y in one.points]
        dots = one.dots or len(places) < 2
        path = "" if dots else "M" + " L".join(f"{x} {y}" for x, y in places)
        drawn.append(Drawn(one.name, one.colour, path, places if dots else ()))
    return render(
        "lines.svg.j2",
        title=title,
        unit=unit,
        frame=frame,
        right=frame.width - frame.right,
        bottom=frame.height - frame.bottom,
        rows=[Tick(y_of(value), label(value)) for value in rows],
        columns=[Tick(x_of(second), said) for second, said in columns],
        drawn=drawn,
        marks=[Tick(x_of(mark.at_s), mark.name) for mark in marks],
    )
