"""The semantic level: values are in their ranges and enumerations, precise, and in time's order.

A rule of a field holds of every event that has the field, and of the entity as it is at the end.
"""

import time
from typing import Any

from projector.audit.levels.field_tests import SEMANTIC, StructTests
from projector.audit.levels.level import LevelName, LevelResult
from projector.audit.levels.order import Order
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Record
from schemas.default_rules import kinds_without_rules, rules_of
from schemas.domain import Domain, Kind
from schemas.rules import InOrder


class SemanticLevel:
    """Looks at each record once; used once."""

    name: LevelName = "semantic"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._rules = rules_of(domain)
        self._tally = Tally(self.name, domain)
        self._plans: dict[tuple[str, type], _Plan] = {}
        self._orders = {kind.name: self._orders_of(kind) for kind in domain.kinds}
        self._looked = 0
        self._broken = 0
        self._began = time.monotonic()

    def add(self, record: Record) -> None:
        """Look at one record."""
        kind = record.kind
        if record.error or kind is None:
            return
        struct = record.event if record.event is not None else record.entity
        if struct is None:
            return
        self._looked += 1
        plan = self._plans.get((kind.name, type(struct)))
        if plan is None:
            plan = self._plans[kind.name, type(struct)] = self._plan(kind, struct)
        plan.records += 1
        broken = not plan.sound(struct) and self._note(plan.tests, struct, record)
        for order in plan.orders:
            wrong = order.look(record)
            if wrong is not None:
                self._tally.note(order.broken, record, *wrong)
                broken = True
        if broken:
            self._broken += 1

    def finish(self) -> LevelResult:
        """Say what was found."""
        for name in kinds_without_rules(self._domain):
            broken = Broken(f"{name}.without_rules", "a table without a rule", name)
            records = sum(p.records for (kind, _), p in self._plans.items() if kind == name)
            self._tally.add(
                broken, "", f"{records} records that nothing is known of",
                "a rule, declared or derived", f"declare a rule of {name}: docs/rules.md",
            )  # fmt: skip
        known = {kind.name for kind in self._domain.kinds}
        rules = [*self._rules.of(SEMANTIC), *self._rules.of(InOrder)]
        checked = [rule.name for rule in rules if rule.kind in known]
        skipped = [
            f"{rule.name}: there is no kind {rule.kind}" for rule in rules if rule.kind not in known
        ]
        of_kinds = {rule.kind for rule in rules}
        skipped += [f"{name}: no semantic rules" for name in known if name not in of_kinds]
        skipped += [note for orders in self._orders.values() for o in orders for note in o.skipped]
        return LevelResult(
            self.name, self._looked, self._broken, checked, self._tally.breaches(), skipped,
            seconds=time.monotonic() - self._began,
        )  # fmt: skip

    def _note(self, tests: StructTests, struct: Any, record: Record) -> bool:
        for test, value in tests.broken(struct):
            self._tally.note(test.broken, record, test.say(value), test.expected)
        return True

    def _plan(self, kind: Kind, struct: Any) -> "_Plan":
        fields = getattr(type(struct), "__struct_fields__", None) or kind.fields
        tests = StructTests(self._rules.of(SEMANTIC, kind.name), fields)
        return _Plan(tests, self._orders.get(kind.name, []))

    def _orders_of(self, kind: Kind) -> list[Order]:
        return [Order(kind, rule) for rule in self._rules.of(InOrder, kind.name)]


class _Plan:
    """What is looked at in one type of struct, of one kind."""

    def __init__(self, tests: StructTests, orders: list[Order]) -> None:
        self.tests = tests
        self.sound = tests.sound
        self.orders = orders
        self.records = 0
