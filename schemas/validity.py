"""What a value must be before it may become an event.

msgspec's constructors do not validate, its Decimal fields take floats, NaN and infinity, and its
datetimes may be naive. A check is compiled once per event type; it looks at money and times, and
the decoder of the same type then looks at everything else by reading the event's own encoding. What
passed once makes the next event of the same types quick (`schemas.quick_check`).
"""

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from schemas.errors import FerryError
from schemas.quick_check import Test, quick_check

Check = Callable[[Any, str], None]


class EventInvalid(FerryError):
    """An event holds a value that must not reach the log; memory has not changed."""


def _decimal(value: Any, path: str) -> None:
    if type(value) is not Decimal:
        raise EventInvalid(
            f"{path} is {value!r} ({type(value).__name__}), not a Decimal",
            remedy='build money from text: Decimal("0.1"), never from a float',
        )
    if not value.is_finite():
        raise EventInvalid(
            f"{path} is {value}, which is not a number", remedy="record a finite one"
        )


def _datetime(value: Any, path: str) -> None:
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise EventInvalid(
            f"{path} is {value!r}, a time without a zone",
            remedy="use datetime.now(timezone.utc), or .replace(tzinfo=timezone.utc)",
        )
    if value.utcoffset():
        raise EventInvalid(
            f"{path} is {value.isoformat()}, not in UTC", remedy="use .astimezone(timezone.utc)"
        )


def _float(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise EventInvalid(
            f"{path} is {value}, which JSON cannot hold", remedy="record a finite one"
        )


def _check_of(  # noqa: PLR0911  (a line a type)
    kind: inspect.Type, seen: dict[type, Check | None]
) -> Check | None:
    """Return a check for one type, None where the decoder's own check is enough."""
    match kind:
        case inspect.Metadata(type=inner):
            return _check_of(inner, seen)
        case inspect.DecimalType():
            return _decimal
        case inspect.DateTimeType():
            return _datetime
        case inspect.FloatType() | inspect.AnyType():
            return _float
        case inspect.StructType() | inspect.DataclassType() | inspect.NamedTupleType():
            return _fields_once(kind, seen)
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType():
            return _each(_check_of(kind.item_type, seen))
        case inspect.VarTupleType(item_type=item):
            return _each(_check_of(item, seen))
        case inspect.TupleType(item_types=items):
            return _places([_check_of(item, seen) for item in items])
        case inspect.DictType(key_type=key, value_type=value):
            return _items(_check_of(key, seen), _check_of(value, seen))
        case inspect.UnionType(types=types):
            return _union(types, seen)
        case _:
            return None


def _each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def run(values: Any, path: str) -> None:
        for number, value in enumerate(values):
            check(value, f"{path}[{number}]")

    return run


def _places(checks: list[Check | None]) -> Check | None:
    if not any(checks):
        return None

    def run(values: Any, path: str) -> None:
        for number, (value, check) in enumerate(zip(values, checks, strict=True)):
            if check is not None:
                check(value, f"{path}[{number}]")

    return run


def _items(check_key: Check | None, check_value: Check | None) -> Check | None:
    if check_key is None and check_value is None:
        return None

    def run(values: Any, path: str) -> None:
        for key, value in values.items():
            if check_key is not None:
                check_key(key, f"{path}, key {key!r}")
            if check_value is not None:
                check_value(value, f"{path}[{key!r}]")

    return run


_CLASS_OF: tuple[tuple[type[inspect.Type], type], ...] = (
    (inspect.DecimalType, Decimal),
    (inspect.DateTimeType, datetime.datetime),
    (inspect.FloatType, float),
    (inspect.IntType, int),
    (inspect.BoolType, bool),
    (inspect.ListType, list),
    (inspect.SetType, set),
    (inspect.FrozenSetType, frozenset),
    (inspect.VarTupleType, tuple),
    (inspect.TupleType, tuple),
    (inspect.DictType, dict),
)


def _union(types: tuple[inspect.Type, ...], seen: dict[type, Check | None]) -> Check | None:
    checks = [_check_of(kind, seen) for kind in types if not isinstance(kind, inspect.NoneType)]
    if len(checks) == 1:
        only = checks[0]
        return only and (lambda value, path: None if value is None else only(value, path))
    if not any(checks):
        return None
    by_class: dict[type, Check | None] = {}
    for kind in types:
        named = getattr(kind, "cls", None) or dict(_CLASS_OF).get(type(kind))
        if named is not None:
            by_class[named] = _check_of(kind, seen)

    def by_value(value: Any, path: str) -> None:
        check = by_class.get(type(value))
        if check is not None:
            check(value, path)
        elif type(value) not in by_class and isinstance(value, int | float):
            _decimal(value, path)  # a number of no type that is declared: the decoder takes it

    return by_value


def _fields_once(kind: Any, seen: dict[type, Check | None]) -> Check | None:
    cls = kind.cls
    if cls not in seen:
        # A recursive type meets itself here, and by the time it runs, its finished check.
        seen[cls] = lambda value, path: (check := seen[cls]) and check(value, path)
        seen[cls] = _fields(kind, seen)
    return seen[cls]


def _fields(kind: Any, seen: dict[type, Check | None]) -> Check | None:
    checks = [(f.name, check) for f in kind.fields if (check := _check_of(f.type, seen))]
    if not checks:
        return None

    def run(value: Any, path: str) -> None:
        for name, check in checks:
            check(getattr(value, name), f"{path}.{name}")

    return run


_COMBINATIONS = 256
"""Combinations of types, of one event type, that are checked quickly at most."""
_encode = msgspec.json.encode
_NO_ENCODING = (msgspec.MsgspecError, TypeError, ValueError, AttributeError, ArithmeticError)


def _never(event: Any) -> bool:
    return False


class Validator:
    """Encodes events of one type, refusing what must not reach the log.

    The encoding of an accepted event decodes, by type, to an equal event.
    """

    __slots__ = ("_check", "_decode", "_known", "_name", "_place", "_quick", "_type")

    def __init__(self, event: type[msgspec.Struct]) -> None:
        self._type = event
        self._name = event.__name__
        self._place = f"{event.__module__}.{event.__qualname__}"
        self._check = _check_of(inspect.type_info(event), {})
        self._decode = msgspec.json.Decoder(event).decode
        self._known: dict[tuple[type, ...], Test] = {}
        self._quick: Test = _never  # the test that the newest event passed

    def encode(self, event: msgspec.Struct) -> bytes:
        """Return the event's data as JSON.

        Raises: EventInvalid, naming the field, where a value is not what its type says.
        """
        try:
            data = _encode(event)
            if not self._quick(event):
                self._check_in_full(event, data)
            return data
        except _NO_ENCODING as error:
            raise self._refusal(
                event, f"cannot be recorded: {error}", "give the field a value of its declared type"
            ) from error

    def _check_in_full(self, event: msgspec.Struct, data: bytes) -> None:
        types = tuple(map(type, msgspec.structs.astuple(event)))
        known = self._known.get(types)
        if known is not None and known(event):
            self._quick = known
            return
        try:
            decoded = self._decode(data)  # looks at every constraint of the declared types
            if self._check is not None:
                self._check(event, self._name)
        except EventInvalid as error:
            error.where = self._place
            raise
        if decoded != event:
            raise self._refusal(
                event,
                "would not read back as it was written",
                "use the field types exactly as declared: no subclasses of them",
            )
        if known is None and len(self._known) < _COMBINATIONS:
            self._known[types] = self._quick = quick_check(self._type, types) or _never

    def _refusal(self, event: msgspec.Struct, what: str, remedy: str) -> EventInvalid:
        """Return why an event is refused, in the words of the field where the check finds it."""
        try:
            if self._check is not None:
                self._check(event, self._name)
        except EventInvalid as error:
            error.where = self._place
            return error
        except _NO_ENCODING:
            pass  # a value so wrong that the check cannot look into it
        return EventInvalid(f"{self._name} {what}", where=self._place, remedy=remedy)
