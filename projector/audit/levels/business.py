"""The business level: entities make sense, each step was allowed, and kinds come out together.

Of every kind, declared or not, each event must be one that its `evolve` lets through, and must make
of the entity before it the one that followed.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from projector.audit.levels.level import LevelName, LevelResult
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Record
from schemas.default_rules import rules_of
from schemas.domain import Domain, Kind, TransitionRefused
from schemas.rules import Check, Reconcile, StepCheck, Wrong

_UNREADABLE = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)
"""What a pure function raises over a value of another type than declared."""
PARKED = "memferry parked list"
"""A refused event is parked, or was let in past the rules: both show there."""
_RECKONED = "values that can be reckoned with"
_Test = Callable[[Any], Wrong | None]
_StepTest = Callable[[Any, Any], Wrong | None]


class _OfKind(NamedTuple):
    """What is looked at in the records of one kind."""

    kind: Kind
    allowed: Broken
    checks: list[tuple[Broken, _Test]]
    steps: dict[type, list[tuple[Broken, _StepTest]]]
    folds: "list[_Fold]"


class _Fold:
    """A reconciliation under way: once it has seen an event, entities say nothing new."""

    def __init__(self, rule: Reconcile) -> None:
        self.rule = rule
        self.broken = Broken(rule.name, rule.what, ", ".join(rule.kinds), rule.veto)
        self.fold = rule.begin()
        self.stepped = False

    def take(self, record: Record, name: str) -> Wrong | None:
        """Take one record, in whatever order; say why it cannot be taken."""
        try:
            if record.event is not None:
                self.stepped = True
                self.fold.step(name, record.key, record.before, record.event, record.entity)
            elif not self.stepped:
                self.fold.entity(name, record.key, record.entity)
        except _UNREADABLE as error:
            return repr(error), _RECKONED
        return None


class BusinessLevel:
    """Looks at each record once; used once."""

    name: LevelName = "business"

    def __init__(self, domain: Domain, suspects: frozenset[int] | None = None) -> None:
        self._rules = rules_of(domain)
        self._tally = Tally(self.name, domain)
        self._between = Tally(self.name, domain, suspects)
        """What holds between kinds: a suspicion, as in the level of references."""
        self._folds = [_Fold(rule) for rule in self._rules.of(Reconcile)]
        self._kinds = {kind.name: self._of_kind(kind) for kind in domain.kinds}
        self._looked = 0
        self._broken = 0
        self._steps = 0
        self._began = time.monotonic()

    def add(self, record: Record) -> None:
        """Look at one record."""
        if record.error or record.kind is None:
            return
        this = self._kinds.get(record.kind.name)
        if this is None or (record.entity is None and record.event is None):
            return
        self._looked += 1
        if record.event is not None:
            self._steps += 1
            broken = self._look_at_step(this, record)
        else:
            broken = self._look_at_entity(this, record)
        for fold in this.folds:
            wrong = fold.take(record, this.kind.name)
            if wrong is not None:
                self._tally.note(fold.broken, record, *wrong)
                broken = True
        self._broken += broken

    @property
    def suspects(self) -> frozenset[int]:
        """What was found between kinds, for a second look."""
        return frozenset(self._between.suspects)

    def finish(self) -> LevelResult:
        """Say what was found."""
        skipped = []
        if not self._steps:
            skipped.append("steps: only the log has them, entities say how they ended")
        for fold in self._folds:
            skipped += self._finish(fold)
        rules = [
            *(rule.name for kind in self._kinds.values() for rule in self._of(kind.kind)),
            *(this.allowed.rule for this in self._kinds.values()),
            *(fold.rule.name for fold in self._folds),
        ]
        return LevelResult(
            self.name, self._looked, min(self._broken, self._looked), rules,
            self._tally.breaches() + self._between.breaches(), skipped,
            seconds=time.monotonic() - self._began,
        )  # fmt: skip

    def _look_at_step(self, this: _OfKind, record: Record) -> bool:
        broken = False
        for rule, test in this.steps.get(type(record.event), ()):
            try:
                wrong = test(record.before, record.event)
            except _UNREADABLE as error:
                wrong = (repr(error), _RECKONED)
            if wrong is not None:
                self._tally.note(rule, record, *wrong)
                broken = True
        wrong = self._step_refused(this, record)
        if wrong is not None:
            self._tally.note(this.allowed, record, *wrong, step=PARKED)
        return broken or wrong is not None

    def _step_refused(self, this: _OfKind, record: Record) -> Wrong | None:
        try:
            entity = this.kind.evolve(record.before, record.event)
        except TransitionRefused as refused:
            return refused.what, refused.remedy or "a step that the state before it allows"
        except _UNREADABLE as error:
            return repr(error), "an event that can follow"
        if entity == record.entity or _same_rows(this.kind, entity, record.entity):
            return None
        if record.entity is None or entity is None:
            return f"it made {_short(record.entity)}", f"it makes {_short(entity)}"
        differ = [f for f in this.kind.fields if getattr(record.entity, f) != getattr(entity, f)]
        said = [
            _short(", ".join(f"{field} {getattr(one, field)}" for field in differ))
            for one in (record.entity, entity)
        ]
        return said[0], said[1]

    def _look_at_entity(self, this: _OfKind, record: Record) -> bool:
        broken = False
        for rule, test in this.checks:
            try:
                wrong = test(record.entity)
            except _UNREADABLE as error:
                wrong = (repr(error), _RECKONED)
            if wrong is not None:
                self._tally.note(rule, record, *wrong)
                broken = True
        return broken

    def _finish(self, fold: _Fold) -> list[str]:
        for kind, key, observed, expected in fold.fold.finish():
            step = self._tally.bisect(kind, key)
            self._broken += self._between.add(
                fold.broken, f"{kind} {key}", observed, expected, step
            )
        return [f"{fold.rule.name}: {note}" for note in fold.fold.skipped]

    def _of(self, kind: Kind) -> list[Check | StepCheck]:
        return [*self._rules.of(Check, kind.name), *self._rules.of(StepCheck, kind.name)]

    def _of_kind(self, kind: Kind) -> _OfKind:
        name = kind.name
        checks = [
            (Broken(rule.name, rule.what, name, rule.veto), rule.test)
            for rule in self._rules.of(Check, name)
        ]
        steps: dict[type, list[tuple[Broken, _StepTest]]] = {}
        for rule in self._rules.of(StepCheck, name):
            for event in rule.events or kind.events.values():
                broken = Broken(rule.name, rule.what, name, rule.veto)
                steps.setdefault(event, []).append((broken, rule.test))
        allowed = Broken(f"{name}.steps", "a step that the state before it does not allow", name)
        folds = [fold for fold in self._folds if name in fold.rule.kinds]
        return _OfKind(kind, allowed, checks, steps, folds)


def _same_rows(kind: Kind, one: Any, other: Any) -> bool:
    """Say whether entities that are compared by identity are kept alike."""
    return one is not None and other is not None and kind.rows(one) == kind.rows(other)


_TEXT_MOST = 200


def _short(value: Any) -> str:
    text = "no entity" if value is None else str(value)
    return text if len(text) <= _TEXT_MOST else f"{text[:_TEXT_MOST]}…"
