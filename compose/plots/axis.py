"""What plots have in common: places in pixels, round steps, labels, templates."""

import datetime
from typing import NamedTuple

import jinja2
from markupsafe import Markup

_STEPS = (1, 2, 2.5, 5, 10)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TIME_STEPS = (
    1, 5, 10, 30, _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR,
    12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY,
)  # fmt: skip
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."), undefined=jinja2.StrictUndefined,
    autoescape=True, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


class Frame(NamedTuple):
    """How large a plot is drawn, in pixels; a page may show it smaller."""

    width: int
    height: int
    left: int = 64
    right: int = 12
    top: int = 30
    bottom: int = 26

    @property
    def across(self) -> int:
        """Pixels between the margins."""
        return self.width - self.left - self.right

    @property
    def down(self) -> int:
        """Pixels between the margins."""
        return self.height - self.top - self.bottom


WIDE = Frame(920, 240)
"""As wide as a page."""
NARROW = Frame(440, 230, left=48, right=24)
"""As wide as a telephone, or half a page."""


class Tick(NamedTuple):
    """A place on an axis, in pixels, and its label."""

    place: float
    label: str


def render(template: str, **values: object) -> Markup:
    """Return a template of this package, filled."""
    text = _TEMPLATES.get_template(template).render(**values)
    return Markup(text)  # noqa: S704  (the template escapes what it is given)


def steps(highest: float, ticks: int = 5) -> list[float]:
    """Return round values from zero to at least `highest`, evenly apart."""
    rough = max(highest, 1e-9) / (ticks - 1)
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


def label(value: float) -> str:
    """Return a value as an axis says it."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:g}"


def times(start_s: float, end_s: float, ticks: int = 5) -> list[tuple[float, str]]:
    """Return round times of the Unix epoch from start to end, with labels in UTC."""
    span = end_s - start_s
    step = next((one for one in _TIME_STEPS if span / one <= ticks), _TIME_STEPS[-1])
    step *= max(1, round(span / step / ticks))
    form = "%d %b" if step >= _DAY else "%H:%M" if step >= _MINUTE else "%H:%M:%S"
    first = -(-start_s // step) * step
    return [
        (at, datetime.datetime.fromtimestamp(at, datetime.UTC).strftime(form))
        for at in (first + step * number for number in range(int((end_s - first) // step) + 1))
    ]
