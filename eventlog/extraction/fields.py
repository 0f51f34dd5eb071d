"""A kind's fields as statistics need them: how to read them, and what is declared of each."""

import datetime
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from schemas.domain import Kind
from schemas.tables import key_text

_SIZED = (str, bytes, list, tuple, dict, set, frozenset)


class Bounds(NamedTuple):
    """What a declaration allows of a number: each end, and whether it is itself allowed."""

    ge: float | None
    gt: float | None
    le: float | None
    lt: float | None

    def hold(self, value: Any) -> bool:
        """Say whether a number is within."""
        return not (
            (self.ge is not None and value < self.ge)
            or (self.gt is not None and value <= self.gt)
            or (self.le is not None and value > self.le)
            or (self.lt is not None and value >= self.lt)
        )

    def __str__(self) -> str:
        signs = zip((">=", ">", "<=", "<"), self, strict=True)
        return ", ".join(f"{sign} {end}" for sign, end in signs if end is not None)


class Field(NamedTuple):
    """One field; `required`: its type allows no None, and it has no default."""

    name: str
    is_key: bool
    required: bool
    bounds: Bounds | None
    is_time: bool


class Fields:
    """The fields of one kind, read from its state-carrying events.

    Where the event wraps the entity in a field, the entity's own fields are meant.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        declared = _declared(kind.entity)
        self.fields = tuple(
            _field(name, kind, declared.get(name)) for name in _names(kind, declared)
        )
        self.names = tuple(field.name for field in self.fields)
        self.time_field = _time_field(self.fields)
        self._key = kind.key_getter()
        self._one = len(kind.key) == 1
        self._getters: dict[type, Callable[[Any], tuple[Any, ...]]] = {}

    def values(self, event: msgspec.Struct) -> tuple[Any, ...]:
        """Return the fields' values in the order of `fields`."""
        getter = self._getters.get(type(event))
        if getter is None:
            getter = self._getters[type(event)] = self._getter(event)
        return getter(event)

    def key(self, event: Any) -> str:
        """Return the key of an entity, or of its event, for people."""
        key = self._key(event)
        return key_text((key,) if self._one else key)

    def _getter(self, event: msgspec.Struct) -> Callable[[Any], tuple[Any, ...]]:
        get = attrgetter(*self.names)
        whole: Callable[[Any], tuple[Any, ...]] = (
            get if len(self.names) > 1 else (lambda value: (get(value),))
        )
        if all(hasattr(event, name) for name in self.names):
            return whole
        for name in event.__struct_fields__:
            if isinstance(getattr(event, name), self.kind.entity):
                inner = attrgetter(name)
                return lambda value: whole(inner(value))
        return lambda value: tuple(getattr(value, name, None) for name in self.names)


def _names(kind: Kind, declared: dict[str, Any]) -> tuple[str, ...]:
    return tuple(declared) or kind.fields


def _declared(entity: type) -> dict[str, Any]:
    try:
        info: Any = inspect.type_info(entity)
    except (TypeError, NameError):
        return {}
    return {field.name: field for field in getattr(info, "fields", ())}


def _field(name: str, kind: Kind, declared: Any) -> Field:
    if declared is None:
        return Field(name, name in kind.key, False, None, False)
    inner, nullable = _unwrapped(declared.type)
    bounds = None
    if isinstance(inner, inspect.IntType | inspect.FloatType):
        found = Bounds(inner.ge, inner.gt, inner.le, inner.lt)
        bounds = found if any(end is not None for end in found) else None
    is_time = isinstance(inner, inspect.DateTimeType)
    return Field(name, name in kind.key, declared.required and not nullable, bounds, is_time)


def _unwrapped(kind: inspect.Type) -> tuple[inspect.Type, bool]:
    """Return a type without metadata and None, and whether it allows None."""
    if isinstance(kind, inspect.Metadata):
        return _unwrapped(kind.type)
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if len(others) == 1:
            return _unwrapped(others[0])[0], len(others) < len(kind.types)
        return kind, len(others) < len(kind.types)
    return kind, isinstance(kind, inspect.NoneType)


def _time_field(fields: tuple[Field, ...]) -> str:
    """Return the field by which entities are placed in time: the first that is always there."""
    times = [field for field in fields if field.is_time]
    return next((field.name for field in times if field.required), times[0].name if times else "")


def is_missing(value: Any) -> bool:
    """Say whether there is nothing: None, an empty text, an empty container."""
    return value is None or (not value and isinstance(value, _SIZED))


def is_time(value: Any) -> bool:
    """Say whether a value is a moment that can be compared with others."""
    return isinstance(value, datetime.datetime) and value.tzinfo is not None
