"""The statistical level: outliers, gaps and bursts in time, duplicates by content, and drift.

It supposes, where the other levels prove: it never vetoes. It looks at entities as they are at the
end; its memory does not grow with their number.

Source: docs/statistics.md
"""

import hashlib
import time
from typing import Any

import msgspec

from projector.audit.levels.level import Breach, LevelName, LevelResult
from projector.audit.levels.measures import KindMeasures
from projector.audit.levels.statistical_findings import (
    drift_between,
    outliers_of,
    series_of,
    times_of,
)
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Record
from projector.audit.report import Distribution, TimeSeries
from projector.audit.statistics.forest import OddRow, odd_rows, require_forest
from projector.audit.statistics.limits import LEAST
from schemas.default_rules import rules_of
from schemas.domain import Domain
from schemas.rules import Content, Measured, Timed
from schemas.spill import Spill

_encode = msgspec.msgpack.Encoder(enc_hook=repr).encode


class StatisticalLevel:
    """Looks at each entity once; used once.

    `isolation_forest`: looks at each kind's numbers together, too; needs the extra `statistics`.
    Raises: ForestMissing.
    """

    name: LevelName = "statistical"

    def __init__(self, domain: Domain, *, isolation_forest: bool = False) -> None:
        if isolation_forest:
            require_forest()
        rules = rules_of(domain)
        self._tally = Tally(self.name, domain)
        self.measures = {
            kind.name: KindMeasures(
                kind, rules.of((Measured, Timed, Content), kind.name), forest=isolation_forest
            )
            for kind in domain.kinds
        }
        self._spill: Spill | None = None
        self._looked = 0
        self._began = time.monotonic()

    def add(self, record: Record) -> None:
        """Look at one record."""
        entity = record.entity
        if entity is None or record.event is not None or record.error or record.kind is None:
            return
        measures = self.measures.get(record.kind.name)
        if measures is None:
            return
        self._looked += 1
        measures.count += 1
        for field in measures.fields:
            field.add(entity, record.key, record.place)
        for moment in measures.times:
            moment.add(entity)
        for rule, get in measures.contents:
            self._note_content(rule, get(entity), record)
        if measures.rows is not None:
            numbers = [_number(field.get(entity)) for field in measures.fields]
            measures.rows.add(OddRow(record.key, record.place, numbers))

    def finish(self) -> LevelResult:
        """Say what was found."""
        groups = sum(len(f.groups) for m in self.measures.values() for f in m.fields)
        lines = sum(len(t.lines_judged()) for m in self.measures.values() for t in m.times)
        checked: list[str] = []
        skipped: list[str] = []
        for measures in self.measures.values():
            if not (measures.fields or measures.times or measures.contents):
                skipped.append(f"{measures.kind.name}: nothing is measured")
                continue
            for field in measures.fields:
                if field.rule.outliers:
                    checked.append(f"{field.name}.outlier")
                    skipped += outliers_of(self._tally, measures, field, groups)
            for moment in measures.times:
                checked += [f"{moment.name}.gap", f"{moment.name}.burst"]
                skipped += times_of(self._tally, measures, moment, lines)
            checked += [f"{rule.name}.duplicate" for rule, _ in measures.contents]
            if measures.rows is not None:
                checked.append(f"{measures.kind.name}.isolated")
                self._note_isolated(measures)
        self._note_duplicates()
        breaches = self._tally.breaches()
        whole = {breach.rule for breach in breaches if breach.rule.endswith((".gap", ".burst"))}
        breaches = [
            msgspec.structs.replace(breach, count=0) if breach.rule in whole else breach
            for breach in breaches
        ]
        broken = min(self._looked, sum(breach.count for breach in breaches))
        # Limits are computed from samples; every value is held against them.
        return LevelResult(
            self.name, self._looked, broken, checked, breaches, skipped,
            seconds=time.monotonic() - self._began,
        )  # fmt: skip

    def series(self) -> list[TimeSeries]:
        """Return how many entities came over time, and the time from one to the next, by field."""
        return [
            one
            for measures in self.measures.values()
            for moment in measures.times
            for one in series_of(measures, moment)
        ]

    def _note_content(self, rule: Content, values: Any, record: Record) -> None:
        if values is None or (type(values) is tuple and values.count(None) == len(values)):
            return
        if self._spill is None:
            self._spill = Spill()
        digest = hashlib.blake2b(_encode(values), digest_size=8).digest()
        name = record.key or record.place
        self._spill.add(rule.kind, int.from_bytes(digest, signed=True), name.encode())

    def _note_duplicates(self) -> None:
        if self._spill is None:
            return
        before: tuple[str, int, bytes] = ("", 0, b"")
        fields = {r.kind: r.fields for m in self.measures.values() for r, _ in m.contents}
        for kind, digest, key in self._spill.in_order():
            if (kind, digest) == before[:2] and key != before[2]:
                first, second = before[2].decode(), key.decode()
                self._tally.add(
                    Broken(f"{kind}.content.duplicate", "the same content under two keys", kind),
                    f"{second} (as {first})",
                    f"{second} has the same {', '.join(fields[kind])} as {first}",
                    "each content once",
                    self._tally.bisect(kind, second),
                )
            else:
                before = (kind, digest, key)
        self._spill.close()
        self._spill = None

    def _note_isolated(self, measures: KindMeasures) -> None:
        rows = measures.rows
        if rows is None or rows.count < LEAST:
            return
        kind = measures.kind.name
        fields = ", ".join(field.rule.field for field in measures.fields)
        for row in odd_rows(rows):
            self._tally.add(
                Broken(f"{kind}.isolated", "a record that is far from all others", kind),
                row.key or row.place,
                f"isolation {row.score:.2f} by {fields}",
                f"as the others of {len(rows.items):,} that were looked at",
                self._tally.bisect(kind, row.key),
            )


def drift(
    source: StatisticalLevel, target: StatisticalLevel
) -> tuple[list[Distribution], list[Breach]]:
    """Compare two sources field by field, once both have seen all their records.

    Returns: every field's distributions, and a breach for each field that drifted. A kind of which
             one source holds only a window is left out: it does not hold the same records.
    """
    return drift_between(source.measures, target.measures)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
