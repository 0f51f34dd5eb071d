"""An entity type read as a description: which column each of its fields becomes."""

import re
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from schemas.derived.description import Column, ColumnType, KindDescription
from schemas.errors import FerryError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,54}")
_KEY_TYPES: frozenset[ColumnType] = frozenset(("text", "integer"))
_SCALARS: tuple[tuple[type[inspect.Type], ColumnType], ...] = (
    (inspect.StrType, "text"),
    (inspect.IntType, "integer"),
    (inspect.FloatType, "float"),
    (inspect.BoolType, "boolean"),
    (inspect.DecimalType, "decimal"),
    (inspect.DateTimeType, "timestamp"),
    (inspect.DateType, "date"),
    (inspect.TimeType, "text"),
    (inspect.TimeDeltaType, "text"),
    (inspect.UUIDType, "text"),
    (inspect.BytesType, "text"),
)
_CODED = (inspect.TimeType, inspect.TimeDeltaType, inspect.UUIDType, inspect.BytesType)
"""Kept as the text that JSON has for them."""
_UNKNOWN = (
    inspect.AnyType, inspect.CustomType, inspect.RawType, inspect.ExtType, inspect.ByteArrayType,
    inspect.MemoryViewType,
)  # fmt: skip


class KindNotDerivable(FerryError):
    """A type does not say enough, or says what no table can hold."""


def describe(
    name: str,
    entity: type,
    *,
    key: Sequence[str],
    stream: Sequence[str] | None = None,
    table: str | None = None,
    windowed: bool = False,
    facts: bool = False,
) -> KindDescription:
    """Return the description of a kind whose entities are of a Struct, dataclass or attrs class.

    Shape:   `stream` defaults to `key`, `table` to the kind's name.
    Raises:  KindNotDerivable, naming the field.
    """
    for word in (name, table or name):
        if not _NAME.fullmatch(word):
            raise KindNotDerivable(
                f"{word!r} cannot name a kind or table",
                where=f"entity {entity.__name__}",
                remedy="use lower-case letters, digits and _, a letter first, 55 at most",
            )
    columns = tuple(
        Column(field.name, *column_of(field.type, f"{entity.__name__}.{field.name}"))
        for field in fields_of(entity)
    )
    by_name = {column.name: column for column in columns}
    for field_name in key:
        column = by_name.get(field_name)
        if column is None or column.nullable or column.type not in _KEY_TYPES:
            raise KindNotDerivable(
                f"{field_name!r} is no key: "
                + ("there is no such field" if column is None else _described(column)),
                where=f"entity {entity.__name__}",
                remedy="name fields that are str or int and never None",
            )
    streams = tuple(key if stream is None else stream)
    if not key or not streams or streams != tuple(key)[: len(streams)]:
        raise KindNotDerivable(
            f"the stream {streams} is no beginning of the key {tuple(key)}",
            where=f"entity {entity.__name__}",
            remedy="name the key fields that a stream has in common first",
        )
    return KindDescription(name, table or name, columns, tuple(key), streams, windowed, facts)


def fields_of(entity: type) -> Sequence[Any]:
    """Return the fields of an entity type as msgspec sees them; raises KindNotDerivable."""
    try:
        info = inspect.type_info(entity)
    except (TypeError, NameError) as error:
        raise KindNotDerivable(
            f"{entity.__name__} cannot be read: {error}",
            where=f"{entity.__module__}.{entity.__qualname__}",
            remedy="annotate every field with a type that its module knows and msgspec can check",
        ) from error
    if not isinstance(info, inspect.StructType | inspect.DataclassType) or not info.fields:
        raise KindNotDerivable(
            f"{entity.__name__} has no declared fields",
            where=f"{entity.__module__}.{entity.__qualname__}",
            remedy="make it a msgspec Struct, a dataclass or an attrs class",
        )
    if isinstance(info, inspect.StructType) and info.tag is not None:
        raise KindNotDerivable(
            f"{entity.__name__} is a tagged Struct",
            where=f"{entity.__module__}.{entity.__qualname__}",
            remedy="an entity is of one type: leave the tag out",
        )
    return info.fields


def column_of(kind: inspect.Type, place: str) -> tuple[ColumnType, bool]:
    """Return a field's column type and whether it may be None; raises KindNotDerivable."""
    if isinstance(kind, inspect.Metadata):
        return column_of(kind.type, place)
    if isinstance(kind, inspect.UnionType):
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        nullable = len(others) < len(kind.types)
        if len(others) == 1:
            return column_of(others[0], place)[0], nullable
        for one in others:
            _require_known(one, place, set())
        return "document", nullable
    scalar = _scalar_of(kind, place)
    if scalar is None:
        _require_known(kind, place, set())
    return scalar or "document", False


def _scalar_of(kind: inspect.Type, place: str) -> ColumnType | None:
    if isinstance(kind, inspect.EnumType):
        return _of_values([member.value for member in kind.cls], place)
    if isinstance(kind, inspect.LiteralType):
        return _of_values(list(kind.values), place)
    return next((column for scalar, column in _SCALARS if isinstance(kind, scalar)), None)


def _of_values(values: list[Any], place: str) -> ColumnType:
    if all(type(value) is int for value in values):
        return "integer"
    if all(isinstance(value, str) for value in values):
        return "text"
    raise _unknown(f"{place} has values of several types", place)


def _require_known(kind: inspect.Type, place: str, seen: set[type]) -> None:
    """Check that everything within a document says what it is; raises KindNotDerivable."""
    if isinstance(kind, _UNKNOWN):
        cls = getattr(kind, "cls", None)
        raise _unknown(f"{place} is {cls.__name__ if cls else 'of any type'}", place)
    for inner, name in _within(kind, seen):
        _require_known(inner, place + name, seen)


def _within(  # noqa: PLR0911  (a line a type)
    kind: Any, seen: set[type]
) -> list[tuple[inspect.Type, str]]:
    """Return the types that a type is made of, each with its place in it."""
    match kind:
        case inspect.Metadata(type=inner):
            return [(inner, "")]
        case inspect.UnionType(types=types):
            return [(one, "") for one in types]
        case inspect.TupleType(item_types=items):
            return [(one, f"[{number}]") for number, one in enumerate(items)]
        case inspect.DictType(key_type=keys, value_type=values):
            return [(keys, ", keys"), (values, "[]")]
        case inspect.NamedTupleType(fields=fields):
            return [(field.type, f".{field.name}") for field in fields]
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            if kind.cls in seen:  # a type that holds itself
                return []
            seen.add(kind.cls)
            return [(field.type, f".{field.name}") for field in kind.fields]
        case _:
            item = getattr(kind, "item_type", None)
            return [] if item is None else [(item, "[]")]


def _unknown(what: str, place: str) -> KindNotDerivable:
    return KindNotDerivable(
        f"{what}: nothing says how a table holds it",
        where=place,
        remedy="declare str, int, float, bool, Decimal, datetime, date, an Enum, a Struct or "
        "dataclass, or list, dict, tuple or set of these",
    )


def _described(column: Column) -> str:
    return "it may be None" if column.nullable else f"it is kept as {column.type}"


_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")


def constrained(kind: inspect.Type) -> bool:
    """Say whether a field's own declaration bars values which its column would take."""
    if isinstance(kind, inspect.UnionType):
        return any(map(constrained, kind.types))
    if isinstance(kind, (inspect.Metadata, inspect.EnumType, inspect.LiteralType, *_CODED)):
        return True
    return any(getattr(kind, bound, None) is not None for bound in _BOUNDS)
