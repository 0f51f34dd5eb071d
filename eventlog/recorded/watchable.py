"""Which types can be watched: what of them may change, and which classes are to be hooked."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from eventlog.recorded.refusals import Unwatchable

_LEAVES = (
    inspect.NoneType, inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType,
    inspect.BytesType, inspect.DateTimeType, inspect.TimeType, inspect.DateType,
    inspect.TimeDeltaType, inspect.UUIDType, inspect.DecimalType, inspect.EnumType,
    inspect.LiteralType,
)  # fmt: skip
_OBJECTS = (inspect.StructType, inspect.DataclassType)
_REMEDIES = {
    "array": "declare list[int] or list[float]",
    "ndarray": "declare list[float], and make the array where you calculate",
    "bytearray": "declare bytes, and assign a new value for a change",
    "memoryview": "declare bytes, and assign a new value for a change",
    "deque": "declare list; a deque can be a collection of its own: ferry.deque(...)",
    "defaultdict": "declare dict, and use setdefault",
    "OrderedDict": "declare dict: it keeps the order too",
    "Counter": "declare dict[str, int]",
}
_REMEDY = (
    "declare str, int, float, bool, Decimal, datetime, date, an Enum, a Struct, dataclass or attrs "
    "class, or list, dict, set, tuple of these"
)


def classes_of(declared: Any, place: str) -> list[type]:
    """Return the Structs, dataclasses and attrs classes within a type, itself included.

    Raises: Unwatchable, naming the field, where something in it could change unseen.
    """
    found: list[type] = []
    try:
        info = inspect.type_info(declared)
    except (TypeError, NameError) as error:
        raise Unwatchable(f"{place} cannot be read: {error}", where=place, remedy=_REMEDY) from None
    _walk(info, place, found)
    return list(dict.fromkeys(map(_class_of, found)))


def may_change(kind: Any) -> bool:
    """Say whether a value of this type, or anything within it, can change in place."""
    seen: set[type] = set()
    waiting = [kind]
    while waiting:
        one = waiting.pop()
        match one:
            case inspect.ListType() | inspect.SetType() | inspect.DictType():
                return True
            case inspect.TypedDictType() | inspect.AnyType():  # the latter is a type's parameter
                return True
            case inspect.StructType() | inspect.DataclassType():
                if not is_frozen(_class_of(one.cls)):
                    return True
                if one.cls in seen:
                    continue
                seen.add(one.cls)
        waiting += [inner for inner, _ in _within(one)]
    return False


def _class_of(cls: Any) -> type:
    """Return the class itself of a generic one with its parameters."""
    found: type = getattr(cls, "__origin__", cls)
    return found


def is_frozen(cls: type) -> bool:
    """Say whether a class refuses attribute writes."""
    config = getattr(cls, "__struct_config__", None)
    if config is not None:
        return bool(config.frozen)
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is not None:
        return bool(parameters.frozen)
    return getattr(cls.__setattr__, "__name__", "") == "_frozen_setattrs"  # how attrs refuses them


def _walk(kind: Any, place: str, found: list[type]) -> None:
    if isinstance(kind, _LEAVES):
        return
    if isinstance(kind, inspect.DictType):
        _require_unchangeable(kind.key_type, f"{place}, keys")
    elif isinstance(kind, inspect.SetType | inspect.FrozenSetType):
        _require_unchangeable(kind.item_type, f"{place}[]")
    elif isinstance(kind, _OBJECTS):
        if kind.cls in found:
            return
        found.append(kind.cls)
    inner = list(_within(kind))
    if not inner and not isinstance(kind, (*_OBJECTS, inspect.TypedDictType, inspect.TupleType)):
        raise _refusal(kind, place)
    for one, name in inner:
        _walk(one, place + name, found)


def _within(kind: Any) -> Iterator[tuple[Any, str]]:
    """Yield the types that a type is made of, each with its place in it."""
    match kind:
        case inspect.Metadata(type=inner):
            yield inner, ""
        case inspect.UnionType(types=types):
            yield from ((one, "") for one in types)
        case inspect.TupleType(item_types=items):
            yield from ((one, f"[{number}]") for number, one in enumerate(items))
        case inspect.DictType(key_type=keys, value_type=values):
            yield keys, ", keys"
            yield values, "[]"
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            yield from ((field.type, f".{field.name}") for field in kind.fields)
        case inspect.NamedTupleType(fields=fields):
            yield from ((field.type, f".{field.name}") for field in fields)
        case _:
            item = getattr(kind, "item_type", None)
            if item is not None:
                yield item, "[]"


def _require_unchangeable(kind: Any, place: str) -> None:
    if may_change(kind):
        raise Unwatchable(
            f"{place} can change while they are hashed",
            where=place,
            remedy="declare them frozen: frozen=True, a tuple, a frozenset",
        )


def _refusal(kind: Any, place: str) -> Unwatchable:
    if isinstance(kind, inspect.AnyType):
        return Unwatchable(f"{place} may hold anything", where=place, remedy=_REMEDY)
    cls = getattr(kind, "cls", None)
    name = cls.__name__ if cls else type(kind).__name__.removesuffix("Type").lower()
    return Unwatchable(
        f"{place} is a {name}, whose changes cannot be seen",
        where=place,
        remedy=_REMEDIES.get(name, _REMEDY),
    )
