"""What the statistical level measures of one kind, compiled once: plain functions per field."""

import datetime
import math
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from projector.audit.statistics.reservoir import Extremes, Reservoir, Sample
from projector.audit.statistics.timeline import TimeLine
from schemas.domain import Kind
from schemas.rules import Content, Measured, Timed

GROUPS_MOST = 128
EXTREMES_NAMED = 20
GROUP_SAMPLE = 2_000
FIELD_SAMPLE = 10_000
_PER_SECOND = {"_ns": 1e9, "_us": 1e6, "_ms": 1e3}
Getter = Callable[[Any], Any]


class Group:
    """The values of one field that are compared among themselves."""

    __slots__ = ("extremes", "reservoir")

    def __init__(self, seed: str) -> None:
        self.reservoir = Reservoir(GROUP_SAMPLE, seed)
        self.extremes = Extremes(EXTREMES_NAMED)


class FieldMeasure:
    """One numeric field: a sample of all of it, and a sample and the extremes of each group."""

    def __init__(self, rule: Measured) -> None:
        self.rule = rule
        self.name = f"{rule.kind}.{rule.field}"
        self.get: Getter = attrgetter(rule.field)
        self.group: Getter | None = attrgetter(rule.group_by) if rule.group_by else None
        self.all = Reservoir(FIELD_SAMPLE, self.name)
        self.groups: dict[Any, Group] = {}
        self.ungrouped = 0
        """Values of groups beyond the number that is kept."""
        self.unread = 0
        """Values that are no finite numbers: the semantic level's."""

    def add(self, entity: Any, key: str, place: str) -> None:
        """Look at one entity's value."""
        found = self.get(entity)
        if found is None:
            return
        try:
            value = float(found)
        except (TypeError, ValueError, OverflowError):
            self.unread += 1
            return
        if not math.isfinite(value):
            self.unread += 1
            return
        self.all.add(value)
        name = None if self.group is None else self.group(entity)
        group = self.groups.get(name)
        if group is None:
            if len(self.groups) >= GROUPS_MOST:
                self.ungrouped += 1
                return
            group = self.groups[name] = Group(f"{self.name} {name}")
        group.reservoir.add(value)
        extremes = group.extremes
        if value > extremes.roof or value < extremes.floor:
            extremes.add(value, key, place)


class TimeMeasure:
    """One time field: a line of moments for each stream, or whatever it comes by."""

    def __init__(self, kind: Kind, rule: Timed) -> None:
        self.rule = rule
        self.name = f"{rule.kind}.{rule.field}"
        self.per: Getter | None = None
        if rule.per == "stream" and "stream" not in kind.fields:
            self.per = kind.stream_getter()
        elif rule.per:
            self.per = attrgetter(rule.per)
        self.get: Getter = attrgetter(rule.field)
        self.unit = next(
            (unit for end, unit in _PER_SECOND.items() if rule.field.endswith(end)), 1.0
        )
        self.all = TimeLine()
        self.lines: dict[Any, TimeLine] = {}
        self.ungrouped = 0

    def add(self, entity: Any) -> None:
        """Look at one entity's time."""
        found = self.get(entity)
        if isinstance(found, datetime.datetime):
            at_s = found.timestamp()
        elif isinstance(found, int | float):
            at_s = found / self.unit
        else:
            return
        self.all.add(at_s)
        if self.per is None:
            return
        name = self.per(entity)
        line = self.lines.get(name)
        if line is None:
            if len(self.lines) >= GROUPS_MOST:
                self.ungrouped += 1
                return
            line = self.lines[name] = TimeLine()
        line.add(at_s)

    def lines_judged(self) -> dict[Any, TimeLine]:
        """Return the lines of which gaps are looked for, by their names; None: of all records."""
        return self.lines if self.per is not None else {None: self.all}


class KindMeasures:
    """All that is measured of one kind."""

    def __init__(self, kind: Kind, rules: tuple[Any, ...], *, forest: bool) -> None:
        self.kind = kind
        self.fields = [FieldMeasure(rule) for rule in rules if isinstance(rule, Measured)]
        self.times = [TimeMeasure(kind, rule) for rule in rules if isinstance(rule, Timed)]
        self.contents = [
            (rule, attrgetter(*rule.fields)) for rule in rules if isinstance(rule, Content)
        ]
        self.rows: Sample[Any] | None = None
        if forest and len(self.fields) > 1:
            self.rows = Sample(FIELD_SAMPLE, kind.name)
        self.count = 0
