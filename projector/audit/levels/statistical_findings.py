"""What the measures of a kind come to: outliers, gaps and bursts, drift, and series for plots."""

import datetime
import math

from projector.audit.levels.level import Breach
from projector.audit.levels.measures import (
    EXTREMES_NAMED,
    FieldMeasure,
    KindMeasures,
    TimeMeasure,
)
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Record
from projector.audit.report import Distribution, TimeSeries
from projector.audit.statistics.drift import drift_of
from projector.audit.statistics.limits import Limits, limits_of

_SERIES_POINTS = 200
_WINDOW_SHARE = 0.01


def outliers_of(
    tally: Tally, measures: KindMeasures, field: FieldMeasure, groups: int
) -> list[str]:
    """Note the values beyond the limits of their group; return what was not looked at."""
    small = 0
    kind = measures.kind.name
    for name, group in field.groups.items():
        count = group.reservoir.count
        limits = limits_of(group.reservoir.values, count, groups)
        if limits is None:
            small += count
            continue
        among = f" of {field.rule.group_by} {name}" if field.group else ""
        sides = (group.extremes.highest(), group.extremes.lowest())
        for side in sides:
            beyond = [one for one in side if one.value not in limits]
            more = " or more" if len(beyond) == EXTREMES_NAMED else ""
            for one in beyond:
                record = Record(one.place, measures.kind, one.key)
                tally.add(
                    Broken(f"{field.name}.outlier", "values far from the others", kind),
                    one.key or one.place,
                    f"{one.value:.10g}, one of {len(beyond)}{more} beyond the limit",
                    _expected(limits, among, count),
                    tally.look_at(record),
                )  # fmt: skip
    said = []
    if small:
        said.append(f"{field.name}: {small:,} values, of groups too small to tell outliers by")
    if field.ungrouped:
        said.append(f"{field.name}: {field.ungrouped:,} values, of more groups than are kept")
    return said


def _expected(limits: Limits, among: str, count: int) -> str:
    return f"{limits}, by median and MAD of {count:,} values{among}"


def times_of(tally: Tally, measures: KindMeasures, moment: TimeMeasure, lines: int) -> list[str]:
    """Note gaps and bursts, the worst first; return what was not looked at."""
    kind = measures.kind.name
    found = [
        (gap, name)
        for name, line in moment.lines_judged().items()
        for gap in line.gaps(lines)
    ]  # fmt: skip
    for gap, name in sorted(found, key=lambda one: -one[0].seconds):
        who = "" if name is None else f"{name}: "
        tally.add(
            Broken(f"{moment.name}.gap", "nothing came for far longer than usual", kind),
            f"{who}{_moment(gap.begin_s)} to {_moment(gap.end_s)}",
            _duration(gap.seconds),
            f"up to {_duration(gap.usual_s)}",
            "memferry audit",
        )
    for burst in moment.all.bursts(lines):
        tally.add(
            Broken(f"{moment.name}.burst", "far more came than usual", kind),
            f"from {_moment(burst.begin_s)} on",
            f"{burst.records:,} in {_duration(burst.span_s)}",
            f"up to {burst.usual:,.0f}",
            "memferry audit",
        )
    if moment.ungrouped:
        return [f"{moment.name}: {moment.ungrouped:,} times, of more {moment.rule.per} than kept"]
    return []


def series_of(measures: KindMeasures, moment: TimeMeasure) -> list[TimeSeries]:
    """Return entities by time, and the gaps between them, of one time field."""
    at_s, counts = moment.all.rates()
    if len(at_s) < 2:
        return []
    lulls = moment.all.lulls()
    span = moment.all.span_s
    kind = measures.kind.name
    step = math.ceil(len(at_s) / _SERIES_POINTS)
    return [
        TimeSeries(
            f"{kind} by {moment.rule.field}", f"in {_duration(span * step)}",
            at_s[::step], [sum(counts[i : i + step]) for i in range(0, len(counts), step)],
        ),
        TimeSeries(
            f"longest gap of {kind} by {moment.rule.field}", "s",
            [lulls[i][1] for i in range(0, len(lulls), step)],
            [max(end - begin for begin, end in lulls[i : i + step])
             for i in range(0, len(lulls), step)],
        ),
    ]  # fmt: skip


def drift_between(
    source: dict[str, KindMeasures], target: dict[str, KindMeasures]
) -> tuple[list[Distribution], list[Breach]]:
    """Compare two sources field by field: distributions for plots, and the fields that drifted.

    A kind of which one source holds only a window is left out: it is not the same records.
    """
    pairs = [
        (kind, before, after)
        for kind, measures in source.items()
        if kind in target and not _windowed(measures, target[kind])
        for before in measures.fields
        for after in target[kind].fields
        if before.name == after.name and before.rule.drift
        if before.all.count and after.all.count
    ]
    distributions: list[Distribution] = []
    breaches: list[Breach] = []
    for kind, before, after in pairs:
        found, p_value = drift_of(before.name, before.all.values, after.all.values, len(pairs))
        distributions.append(found)
        if found.drifted:
            share = min(before.all.share, after.all.share)
            of = "all values" if share == 1 else f"a sample of {share:.1%}"
            breaches.append(
                Breach(
                    "statistical", f"{before.name}.drift",
                    "source and target have other distributions", kind, 0, [],
                    f"KS {found.ks:.3f} (p {p_value:.2g}), PSI {found.psi:.3f}, of {of}",
                    f"no more than chance makes, in {len(pairs)} fields", "memferry audit",
                )
            )  # fmt: skip
    return distributions, breaches


def _windowed(source: KindMeasures, target: KindMeasures) -> bool:
    windowed = any(table.windowed for table in source.kind.tables)
    few, many = sorted((source.count, target.count))
    return windowed and few < many * (1 - _WINDOW_SHARE)


def _moment(at_s: float) -> str:
    try:
        found = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return f"{at_s:.0f} s"
    return found.isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"
