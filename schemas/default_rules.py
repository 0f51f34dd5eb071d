"""The rules that follow from the types alone, so that a kind declared without any code has some.

A rule that the domain declares takes the place of the derived one of the same sort and field.
"""

import re
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

from msgspec import inspect

from schemas.domain import Domain, Kind
from schemas.rules import (
    InOrder,
    Measured,
    OneOf,
    Plausible,
    Range,
    Reference,
    Rule,
    Rules,
    SameTime,
    Timed,
    Unit,
    field_names,
)

_UNITS: tuple[Unit, ...] = ("ns", "us", "ms", "s")
_MOMENT = re.compile(r"(?:.*_)?(?:at|time|timestamp|ts)_(ns|us|ms|s)")
_RENEWED = re.compile(r"(?:updated|changed|modified)_at(?:_(?:ns|us|ms|s))?")
_STORED = {-(2**63), 2**63 - 1, None}
"""Ends that say what a column holds, not what is sensible."""


class _Field(NamedTuple):
    name: str
    type: Any
    required: bool


def rules_of(domain: Domain) -> Rules:
    """Return the rules of a domain: those that it declares, then those derived for the rest."""
    declared = {(type(rule), rule.kind, field_names(rule)) for rule in domain.rules}
    named = {rule.name for rule in domain.rules}
    about = {(type(rule), rule.kind) for rule in domain.rules if isinstance(rule, Timed)}
    derived = tuple(
        rule
        for kind in domain.kinds
        for rule in _derived(kind, domain)
        if (type(rule), rule.kind, field_names(rule)) not in declared
        and rule.name not in named
        and (type(rule), rule.kind) not in about
    )
    return Rules((*domain.rules, *derived))


def kinds_without_rules(domain: Domain) -> list[str]:
    """Return the kinds of which nothing is declared and nothing follows from the types."""
    rules = rules_of(domain)
    return [kind.name for kind in domain.kinds if not rules.about(kind.name)]


def _derived(kind: Kind, domain: Domain) -> Iterator[Rule]:
    own = _fields(cast(Hashable, kind.entity))
    yield from _of_fields(kind, own)
    yield from _references(kind, own, domain)
    yield from _statistical(kind, own)
    seen = dict(own)
    for event in kind.events.values():
        further = {name: field for name, field in _fields(event).items() if name not in seen}
        yield from _of_fields(kind, further)
        seen |= further


def _of_fields(kind: Kind, fields: dict[str, _Field]) -> Iterator[Rule]:
    for name, field in fields.items():
        match field.type:
            case inspect.LiteralType(values=values):
                yield OneOf(kind.name, name, tuple(values))
            case inspect.EnumType(cls=cls):
                members = tuple(cls)
                yield OneOf(kind.name, name, (*members, *(member.value for member in members)))
            case inspect.DecimalType():
                yield Range(kind.name, name)
            case inspect.FloatType() as found:
                yield _range(kind, name, found)
            case inspect.IntType() as found:
                yield from _of_integer(kind, name, found, fields)
            case inspect.DateTimeType():
                yield Plausible(kind.name, name)
                if _RENEWED.fullmatch(name) and f"{name}_ns" not in fields:
                    yield InOrder(kind.name, name)


def _of_integer(kind: Kind, name: str, found: Any, fields: dict[str, _Field]) -> Iterator[Rule]:
    if {found.ge, found.gt, found.le, found.lt} - _STORED:
        yield _range(kind, name, found)
    twin = _twin(name, fields)
    moment = _MOMENT.fullmatch(name)
    if twin is not None:
        yield SameTime(kind.name, name, *twin)
    elif moment is not None:
        yield Plausible(kind.name, name, _unit(moment[1]))
    if _RENEWED.fullmatch(name) and (twin or moment):
        yield InOrder(kind.name, name)


def _range(kind: Kind, name: str, found: Any) -> Range:
    ends = [None if end in _STORED else end for end in (found.ge, found.gt, found.le, found.lt)]
    low, above, high, below = ends
    return Range(kind.name, name, at_least=low, above=above, at_most=high, below=below)


def _twin(name: str, fields: dict[str, _Field]) -> tuple[str, Unit] | None:
    """Return the datetime field that an integer repeats, and the unit that its name says."""
    for unit in _UNITS:
        twin = fields.get(name.removesuffix(f"_{unit}")) if name.endswith(f"_{unit}") else None
        if twin is not None and isinstance(twin.type, inspect.DateTimeType):
            return twin.name, unit
    return None


def _unit(text: str) -> Unit:
    return next(unit for unit in _UNITS if unit == text)


def _references(kind: Kind, own: dict[str, _Field], domain: Domain) -> Iterator[Rule]:
    for name in own:
        owners = [other.name for other in domain.kinds if other.key == (name,)]
        if len(owners) == 1 and owners[0] != kind.name:
            # Whether the other may end first, no type says: what was there once is no orphan.
            yield Reference(kind.name, name, owners[0], outlives=True)


def _statistical(kind: Kind, own: dict[str, _Field]) -> Iterator[Rule]:
    free = [field for field in own.values() if field.name not in kind.key]
    for field in free:
        number = isinstance(field.type, inspect.DecimalType | inspect.FloatType | inspect.IntType)
        if number and not _MOMENT.fullmatch(field.name) and not _twin(field.name, own):
            yield Measured(kind.name, field.name)
    times = [field for field in own.values() if isinstance(field.type, inspect.DateTimeType)]
    times.sort(key=lambda field: not field.required)
    if times:
        yield Timed(kind.name, times[0].name)


@lru_cache(512)
def _fields(struct: Any) -> dict[str, _Field]:
    try:
        info: Any = inspect.type_info(struct)
    except (TypeError, NameError):  # a class that msgspec does not know: nothing follows from it
        return {}
    found = (_Field(f.name, *_unwrapped(f.type, f.required)) for f in getattr(info, "fields", ()))
    return {field.name: field for field in found}


def _unwrapped(kind: inspect.Type, required: bool) -> tuple[inspect.Type, bool]:
    """Return a type without metadata and None, and whether there is always a value."""
    if isinstance(kind, inspect.Metadata):
        return _unwrapped(kind.type, required)
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        required = required and len(others) == len(kind.types)
        return _unwrapped(others[0], required) if len(others) == 1 else (kind, required)
    return kind, required
