"""Plots as inline SVG: lines and points over seconds, and bars of time. No script, no file."""

from collections.abc import Sequence
from typing import NamedTuple

import jinja2
from markupsafe import Markup

WIDTH, HEIGHT = 920, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 30, 26
_TICKS = 5
_STEPS = (1, 2, 2.5, 5, 10)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."), undefined=jinja2.StrictUndefined,
    autoescape=True, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


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


class Bar(NamedTuple):
    """Something that lasted, from a second on, for so many."""

    name: str
    start_s: float
    seconds: float
    text: str
    good: bool


class Tick(NamedTuple):
    """A place on an axis, in pixels, and its label."""

    place: float
    label: str


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
    highest = max((y for one in series for _, y in one.points), default=0.0)
    steps = _steps(highest)
    across = WIDTH - _LEFT - _RIGHT
    down = HEIGHT - _TOP - _BOTTOM

    def x_of(seconds: float) -> float:
        return round(_LEFT + across * seconds / max(until_s, 1e-9), 1)

    def y_of(value: float) -> float:
        return round(_TOP + down * (1 - value / steps[-1]), 1)

    drawn = []
    for one in series:
        places = [(x_of(x), y_of(y)) for x, y in one.points]
        path = "" if one.dots else "M" + " L".join(f"{x} {y}" for x, y in places)
        drawn.append(Drawn(one.name, one.colour, path, places if one.dots else ()))
    return Markup(  # noqa: S704  (the template escapes what it is given)
        _TEMPLATES.get_template("plot.svg.j2").render(
            title=title,
            unit=unit,
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
            rows=[Tick(y_of(value), _label(value)) for value in steps],
            columns=[Tick(x_of(second), f"{second:g} s") for second in _steps(until_s)[:-1]],
            drawn=drawn,
            marks=[Tick(x_of(mark.at_s), mark.name) for mark in marks],
        )
    )


def bars(title: str, shown: Sequence[Bar]) -> Markup:
    """Draw bars below each other, the first at the top."""
    row, until_s = 24, max((bar.start_s + bar.seconds for bar in shown), default=1.0)
    left, right = 210, 150
    across = WIDTH - left - right
    places = [
        (
            bar,
            _TOP + row * number,
            round(left + across * bar.start_s / until_s, 1),
            max(2.0, round(across * bar.seconds / until_s, 1)),
        )
        for number, bar in enumerate(shown)
    ]
    return Markup(  # noqa: S704  (the template escapes what it is given)
        _TEMPLATES.get_template("bars.svg.j2").render(
            title=title, width=WIDTH, height=_TOP + row * len(shown) + 8, left=left, row=row,
            places=places,
        )
    )  # fmt: skip


def _steps(highest: float) -> list[float]:
    """Return round values from zero to at least `highest`, evenly apart."""
    rough = max(highest, 1e-9) / (_TICKS - 1)
    power = 1.0
    while power > rough:
        power /= 10
    while power * 10 <= rough:
        power *= 10
    step = next(factor * power for factor in _STEPS if factor * power >= rough)
    count = 1
    while step * count < highest:
        count += 1
    return [step * number for number in range(count + 1)]


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:g}"
