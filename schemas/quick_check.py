"""The quick check of an event whose like was accepted in full before.

To read an event's encoding back proves everything, and costs five times the encoding. Where the
values of two events have the same types, field by field, the second can be unsound only in a value:
a number that is none, a time not in UTC, a text or number out of its bounds. Types and values are
looked at by one expression, compiled once per event type and combination of types.
"""

import datetime
import enum
import math
import re
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from keyword import iskeyword
from typing import Any

from msgspec import inspect

Test = Callable[[Any], bool]
"""Says of an event that it is sound; where it says False, another check must decide."""

_LONG_INT = 2**63
_TEXTS_KEPT = 4_096
_TEXT_KEPT_LENGTH = 64


def quick_check(event_type: type, types: tuple[type, ...]) -> Test | None:
    """Return the test of events whose fields' values have these types; it looks at these, too.

    None where a type says too little: of a field that holds other values, or is written and read by
    a hook.
    """
    if hasattr(event_type, "__post_init__"):
        return None
    info: Any = inspect.type_info(event_type)
    named: dict[str, Any] = {"UTC": datetime.UTC, "isfinite": math.isfinite}

    def name(thing: Any) -> str:
        named[f"thing_{len(named)}"] = thing
        return [*named][-1]

    terms: list[str] = []
    for field, value_type in zip(info.fields, types, strict=True):
        if not field.name.isidentifier() or iskeyword(field.name):
            return None  # it would be no part of an expression, or another one
        kinds = [kind for kind in _members(field.type) if _class_of(kind) is value_type]
        if len(kinds) != 1:
            return None
        terms.append(f"type(event.{field.name}) is {name(value_type)}")
        terms += _terms(f"event.{field.name}", kinds[0], name)
    # Of the app's own there are only names of fields in it.
    test: Test = eval(f"lambda event: {' and '.join(terms) or True}", named)  # noqa: S307
    return test


def _members(kind: inspect.Type) -> Iterator[inspect.Type]:
    """Yield the types that a field may hold, one by one."""
    if isinstance(kind, inspect.Metadata):
        yield from _members(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _members(one)
    else:
        yield kind


def _class_of(kind: inspect.Type) -> type | None:  # noqa: PLR0911  (a line a type)
    """Return the class of a type's values where `_terms` says all about them, None elsewhere."""
    match kind:
        case inspect.DecimalType():
            return Decimal
        case inspect.DateTimeType():
            return datetime.datetime
        case inspect.StrType():
            return str
        case inspect.IntType(multiple_of=None):
            return int
        case inspect.FloatType(multiple_of=None):
            return float
        case inspect.LiteralType(values=values) if len(set(map(type, values))) == 1:
            return type(values[0])
        case inspect.EnumType(cls=cls) if not issubclass(cls, enum.Flag):
            return cls
        case _:
            return _WHOLLY_A_TYPE.get(type(kind))


_WHOLLY_A_TYPE: dict[type[inspect.Type], type] = {
    inspect.NoneType: type(None),
    inspect.BoolType: bool,
    inspect.DateType: datetime.date,
    inspect.UUIDType: uuid.UUID,
}
"""Types of which every value of the class is sound."""


def _terms(value: str, kind: Any, name: Callable[[Any], str]) -> Iterator[str]:
    """Yield what must hold of a value, as expressions; `name` gives a thing a name in them."""
    match kind:
        case inspect.DecimalType():
            yield f"{value}.is_finite()"
        case inspect.DateTimeType():
            yield f"{value}.tzinfo is UTC"
        case inspect.StrType(min_length=None, max_length=None, pattern=None):
            return
        case inspect.StrType():
            texts, is_sound = _texts(kind.min_length, kind.max_length, kind.pattern)
            yield f"({value} in {name(texts)} or {name(is_sound)}({value}))"
        case inspect.LiteralType(values=values):
            yield f"{value} in {name(frozenset(values))}"
        case inspect.IntType() | inspect.FloatType():
            if isinstance(kind, inspect.FloatType):
                yield f"isfinite({value})"
            else:
                yield f"{-_LONG_INT} <= {value} < {_LONG_INT}"
            bounds = ((">", kind.gt), (">=", kind.ge), ("<", kind.lt), ("<=", kind.le))
            yield from (f"{value} {sign} {limit!r}" for sign, limit in bounds if limit is not None)


@cache
def _texts(least: int | None, most: int | None, pattern: str | None) -> tuple[set[str], Test]:
    """Return texts known to be within bounds, and the test of others, which gets to know them.

    The names of entities and symbols come again and again; to look at each costs as much as to
    encode the event.
    """
    known: set[str] = set()
    found = re.compile(pattern or "").search
    shortest, longest = least or 0, math.inf if most is None else most

    def is_sound(text: str) -> bool:
        if not shortest <= len(text) <= longest or found(text) is None:
            return False
        if len(text) <= _TEXT_KEPT_LENGTH:
            if len(known) >= _TEXTS_KEPT:
                known.clear()
            known.add(text)
        return True

    return known, is_sound
