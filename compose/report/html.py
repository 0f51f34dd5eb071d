"""A report as one HTML file that needs nothing beside it: no script, no font, no network."""

from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from compose.plots.axis import NARROW
from compose.plots.bars import Drift, drift_bars
from compose.plots.histogram import histogram
from compose.plots.lines import Series, plot_times
from compose.report.words import (
    LEVEL_SAYS,
    VETOES_SHOWN,
    count,
    level_name,
    of_what,
    reason,
    verdict,
)
from compose.report.writing import write_whole
from projector.audit.report import Distribution, Report, TimeSeries
from projector.audit.score import score_text

_PSI_LIMIT = 0.2
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."), undefined=jinja2.StrictUndefined,
    autoescape=True, trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_TEMPLATES.filters |= {"score": score_text, "level": level_name}


class Plot(NamedTuple):
    """A plot with its words."""

    title: str
    about: str
    svg: Markup
    two: bool = False
    """Whether it shows source and target."""


def write(report: Report, path: Path) -> None:
    """Write a report's page; raises ReportNotWritten."""
    write_whole(path, page(report))


def page(report: Report) -> str:
    """Return the page: verdict, score, levels, findings, plots."""
    return _TEMPLATES.get_template("report.html.j2").render(
        report=report,
        verdict=verdict(report),
        reason=reason(report),
        says=LEVEL_SAYS,
        count=count,
        of_what=of_what,
        vetoes_shown=VETOES_SHOWN,
        plots=_plots(report),
    )


def _plots(report: Report) -> list[Plot]:
    shown = [_of_distribution(one) for one in report.distributions]
    if report.distributions:
        drifts = sorted(report.distributions, key=lambda one: -one.psi)
        bars = [
            Drift(one.field, one.psi, f"PSI {one.psi:.3f}, KS {one.ks:.3f}", not one.drifted)
            for one in drifts
        ]
        shown.append(
            Plot(
                "Drift",
                f"Population stability index of each field; above {_PSI_LIMIT:g} source and "
                "target are commonly called different. KS: the largest difference of the shares "
                "below a value.",
                drift_bars("Drift of each field", _PSI_LIMIT, bars),
            )
        )
    return shown + [_of_series(one) for one in report.series]


def _of_distribution(one: Distribution) -> Plot:
    drift = "drifted" if one.drifted else "no drift"
    return Plot(
        one.field,
        f"{drift}: PSI {one.psi:.3f}, KS {one.ks:.3f}",
        histogram(f"Distribution of {one.field}", one.edges, one.source, one.target),
        two=True,
    )


def _of_series(one: TimeSeries) -> Plot:
    points = list(zip(one.at_s, one.values, strict=True))
    return Plot(
        one.name,
        f"Over time (UTC), in {one.unit}." if one.unit else "Over time (UTC).",
        plot_times(one.name, one.unit, [Series(one.name, "blue", points)], NARROW),
    )
