"""The rules that a domain declares beside its schema: what must hold of its data, beyond the types.

Rules name their kind, so that those of a derived one can be declared before it is known. The levels
of validation read them (`projector.audit.levels`). What follows from the types alone is derived:
`schemas.default_rules`.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from schemas.reconciliation import Reconciliation

Number: TypeAlias = int | float | Decimal
Wrong: TypeAlias = tuple[str, str]
"""What was observed, and what was expected."""
Unit: TypeAlias = Literal["s", "ms", "us", "ns"]


class Rule(Protocol):
    """What every rule says of itself."""

    @property
    def kind(self) -> str:
        """The kind that it is about; empty where it is about several."""

    @property
    def name(self) -> str:
        """Its name in reports: `trade.fees_recompute`."""


@dataclass(frozen=True)
class _OfField:
    kind: str
    field: str
    """Holds in the entity, and in each of the kind's events that has a field of that name."""

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.field}.{_snake(type(self).__name__)}"


# --- semantic: one field, or one record, by itself


@dataclass(frozen=True)
class Range(_OfField):
    """A number is finite and within its ends; None passes."""

    at_least: Number | None = field(default=None, kw_only=True)
    above: Number | None = field(default=None, kw_only=True)
    at_most: Number | None = field(default=None, kw_only=True)
    below: Number | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        ends = (
            (">=", self.at_least), (">", self.above), ("<=", self.at_most), ("<", self.below)
        )  # fmt: skip
        said = ", ".join(f"{sign} {end}" for sign, end in ends if end is not None)
        return said or "a finite number"


@dataclass(frozen=True)
class OneOf(_OfField):
    """A value is one of those named; None passes."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Precision(_OfField):
    """A number has so many decimal places at most, or is a multiple of a step; None passes."""

    places: int | None = field(default=None, kw_only=True)
    step: Decimal | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class SameTime(_OfField):
    """An integer is the same moment as a datetime field, in its own unit, to the microsecond."""

    twin: str
    unit: Unit = "ns"


@dataclass(frozen=True)
class Plausible(_OfField):
    """A time is one that such data can have: a wrong unit moves it far away; None passes.

    `unit` of an integer since 1970; None where the field is a datetime. What falls into January
    1970 is seconds taken for a smaller unit.
    """

    unit: Unit | None = None
    since: datetime.datetime = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
    until: datetime.datetime = datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Ascending:
    """Within one entity, times (or numbers) do not fall from one field to the next; None passes."""

    kind: str
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """As `trade.opened_at_ns_to_closed_at_ns.ascending`."""
        return f"{self.kind}.{self.fields[0]}_to_{self.fields[-1]}.ascending"


@dataclass(frozen=True)
class InOrder(_OfField):
    """Within a stream, a time does not fall from one record to the next.

    Of an entity with several events, from each of its events to the next; of a stream with several
    entities, in the log from each to the one recorded after it, elsewhere from each to the one of a
    later key (where the key's last field is a number or a time).
    """


# --- business: what an entity, a step, or several kinds together must come to


@dataclass(frozen=True)
class _OfKind:
    of: str
    """The rule's own name: `fees_recompute`."""
    kind: str
    what: str
    """What is wrong where it does not hold, in one line."""

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.of}"


@dataclass(frozen=True)
class Check(_OfKind):
    """What must hold of an entity as it is."""

    test: Callable[[Any], Wrong | None]
    """entity → None, or what was observed and what was expected; pure."""
    veto: bool = False


@dataclass(frozen=True)
class StepCheck(_OfKind):
    """What must hold of a step: an event after the entity before it (None for the first)."""

    test: Callable[[Any, Any], Wrong | None]
    """(entity before or None, event) → None, or what was observed and what was expected; pure."""
    events: tuple[type, ...] = ()
    """The event types that it is about; empty for all."""
    veto: bool = False


@dataclass(frozen=True)
class Reconcile:
    """Kinds that must come out together: cash and positions from trades to portfolio snapshots."""

    name: str
    kinds: tuple[str, ...]
    what: str
    begin: Callable[[], Reconciliation]
    veto: bool = True

    @property
    def kind(self) -> str:
        """Empty: it is about several."""
        return ""


# --- cross-reference: what one kind says of another


@dataclass(frozen=True)
class Reference:
    """An entity names another, which must be there.

    `fields` hold the other's key, or with `to_stream` its stream; None names nothing. Of a windowed
    kind, what is older than the oldest known of its stream has left the window. Where no record
    of the other kind was looked at, nothing is judged and it says so.
    """

    kind: str
    fields: str | tuple[str, ...]
    to: str
    values: Callable[[Any], Iterable[Any]] | None = None
    """entity → the keys that it names, where it names many; `fields` then only says where."""
    to_stream: bool = False
    same: tuple[str, ...] = ()
    """Fields which both have, and of which the values must be the same."""
    outlives: bool = False
    """The other may have ended since: only the log shows that it was there. Elsewhere it is judged
    only where `present_while` holds."""
    present_while: Callable[[Any], bool] | None = None
    veto: bool = False

    @property
    def name(self) -> str:
        """As `execution.trade_id.refers_to_trade`."""
        named = self.fields if isinstance(self.fields, str) else "_".join(self.fields)
        return f"{self.kind}.{named}.refers_to_{self.to}"


@dataclass(frozen=True)
class Gapless(_OfField):
    """Numbers within a stream have no holes: from the lowest to the highest, each is there."""

    veto: bool = True


# --- statistical: what is measured, and by what


@dataclass(frozen=True)
class Measured(_OfField):
    """A number worth measuring: outliers, and drift between source and target.

    `group_by`: a field by which values are compared only among themselves (prices by symbol).
    """

    group_by: str | None = None
    outliers: bool = True
    drift: bool = True


@dataclass(frozen=True)
class Timed(_OfField):
    """A time by which records come: rates, and gaps in it; `per` stream or other field."""

    per: str | None = None


@dataclass(frozen=True)
class Content:
    """The fields that make two entities of a kind duplicates, whatever their keys."""

    kind: str
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """As `trade.content`."""
        return f"{self.kind}.content"


R = TypeVar("R")


@dataclass(frozen=True)
class Rules:
    """The rules of a domain, in the order in which they are reported."""

    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(f"rule {rule.name} is declared twice")
            seen.add(rule.name)

    def of(
        self, rule_type: type[R] | tuple[type[R], ...], kind: str | None = None
    ) -> tuple[R, ...]:
        """Return the rules of one type or of several, of one kind or of all."""
        return tuple(
            rule
            for rule in self.rules
            if isinstance(rule, rule_type) and (kind is None or getattr(rule, "kind", "") == kind)
        )

    def about(self, kind: str) -> tuple[Rule, ...]:
        """Return all rules that look at a kind."""
        return tuple(r for r in self.rules if r.kind == kind or kind in getattr(r, "kinds", ()))

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


def field_names(rule: Rule) -> tuple[str, ...]:
    """Return the fields that a rule names: each must be there in the entity or an event."""
    if isinstance(rule, Reference):
        own = (rule.fields,) if isinstance(rule.fields, str) else rule.fields
        return (*own, *rule.same)
    if isinstance(rule, Ascending | Content):
        return rule.fields
    if not isinstance(rule, _OfField):
        return ()
    further = (getattr(rule, name, None) for name in ("twin", "group_by", "per"))
    return (rule.field, *(name for name in further if name))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
