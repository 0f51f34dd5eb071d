"""The demo's page: one self-contained file with figures, plots, phases and the audit."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from compose.demo.recording import Course
from compose.demo.summary import Summary
from compose.demo.watch import Sample
from compose.plots.bars import Bar, bars
from compose.plots.lines import Mark, Series, plot

_RATE_SAMPLES = 4
_DOTS_MAX = 4_000


class Plot(NamedTuple):
    """A plot with its words."""

    title: str
    about: str
    series: Sequence[Series]
    svg: Markup


def write(summary: Summary, course: Course, path: Path) -> None:
    """Write the page."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    ).get_template("report.html.j2")
    marks = [Mark(*chapter) for chapter in course.chapters]
    page = template.render(
        summary=summary,
        figures=_figures(summary),
        errors=Counter(summary.client_errors).most_common(20),
        marks=marks,
        plots=_plots(course, marks),
        phases=bars("The ten phases", _phases(course)),
        migration=course.migration,
    )
    path.write_text(page, encoding="utf-8")


def _figures(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("events recorded", f"{summary.events_recorded:,}"),
        ("events applied", f"{summary.events_applied:,}"),
        ("lost", f"{summary.events_lost}"),
        ("doubled", f"{summary.events_duplicated}"),
        ("pause at the cutover", f"{summary.cutover_pause_ms:.1f} ms"),
        ("pause at the switch back", f"{summary.switch_back_pause_ms:.1f} ms"),
        ("a client's longest wait", f"{summary.client_longest_wait_ms:.0f} ms"),
        ("orders of the client", f"{summary.client_orders:,}"),
        ("errors it saw", f"{len(summary.client_errors)}"),
        ("killed -9", ", ".join(summary.kills)),
    ]


def _plots(course: Course, marks: Sequence[Mark]) -> list[Plot]:
    until_s = course.samples[-1].at - course.started
    rates = [
        Series("recorded", "blue", _rates(course, [s.recorded for s in course.samples])),
        Series("applied", "orange", _rates(course, [s.applied for s in course.samples])),
    ]
    lag = [Series("events behind", "violet", [(_at(course, s), s.lag) for s in course.samples])]
    waits = [(w.at + w.seconds - course.started, w.seconds * 1000) for w in course.writes]
    step = max(1, len(waits) // _DOTS_MAX)
    kept = [wait for number, wait in enumerate(waits) if number % step == 0 or wait[1] > step]
    pause = [Series("one order", "blue", kept, dots=True)]
    return [
        Plot(
            "Throughput",
            "Events a second: recorded by the app, committed in the tables.",
            rates,
            plot("Throughput", "events/s", rates, marks, until_s),
        ),
        Plot(
            "Lag",
            "Events that are recorded and not in the tables yet.",
            lag,
            plot("Lag", "events", lag, marks, until_s),
        ),
        Plot(
            "The pause",
            "How long each order over HTTP waited for its acknowledgement, by the client's clock.",
            pause,
            plot("The pause", "ms", pause, marks, until_s),
        ),
    ]


def _rates(course: Course, counts: Sequence[int]) -> list[tuple[float, float]]:
    samples = course.samples
    pairs = pairwise(range(0, len(samples), _RATE_SAMPLES))
    return [
        (
            _at(course, samples[b]),
            max(0.0, (counts[b] - counts[a]) / (samples[b].at - samples[a].at)),
        )
        for a, b in pairs
    ]


def _at(course: Course, sample: Sample) -> float:
    return sample.at - course.started


def _phases(course: Course) -> list[Bar]:
    return [
        Bar(p.phase, p.started_s, p.seconds, f"{p.seconds:.2f} s", p.outcome == "passed")
        for p in course.migration.phases
    ]
