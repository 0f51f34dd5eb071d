"""What a value must be before it may become an event.

msgspec's constructors do not validate, its Decimal fields take floats, NaN and infinity, and its
datetimes may be naive. A check is compiled once per event type; it looks at money and times, and
the decoder of the same type then looks at everything else by reading the event's own encoding.
"""

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from schemas.errors import FerryError

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


def _check_of(kind: inspect.Type, seen: dict[type, Check | None]) -> Check | None:
    """Return a check for one type, None where the decoder's own check is enough."""
    match kind:
        case inspect.DecimalType():
            return _decimal
        case inspect.DateTimeType():
            return _datetime
        case inspect.FloatType() | inspect.AnyType():
            return _float
        case inspect.StructType(cls=cls):
            if cls not in seen:
                seen[cls] = None  # a recursive type ends here; its decoder still checks it
                seen[cls] = _struct_check(kind, seen)
            return seen[cls]
        case inspect.ListType(item_type=item) | inspect.SetType(item_type=item):
            return _each(_check_of(item, seen))
        case inspect.VarTupleType(item_type=item):
            return _each(_check_of(item, seen))
        case inspect.DictType(value_type=item):
            return _values(_check_of(item, seen))
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


def _values(check: Check | None) -> Check | None:
    if check is None:
        return None

    def run(values: Any, path: str) -> None:
        for key, value in values.items():
            check(value, f"{path}[{key!r}]")

    return run


def _union(types: tuple[inspect.Type, ...], seen: dict[type, Check | None]) -> Check | None:
    checks = [check for check in (_check_of(kind, seen) for kind in types) if check]
    if not checks:
        return None
    if len(checks) == 1 and all(
        isinstance(k, inspect.NoneType) or _check_of(k, seen) for k in types
    ):
        only = checks[0]
        return lambda value, path: None if value is None else only(value, path)

    def by_value(value: Any, path: str) -> None:
        if isinstance(value, Decimal):
            _decimal(value, path)
        elif isinstance(value, datetime.datetime):
            _datetime(value, path)
        else:
            _float(value, path)

    return by_value


def _struct_check(kind: inspect.StructType, seen: dict[type, Check | None]) -> Check | None:
    checks = [(f.name, check) for f in kind.fields if (check := _check_of(f.type, seen))]
    if not checks:
        return None

    def run(value: Any, path: str) -> None:
        for name, check in checks:
            check(getattr(value, name), f"{path}.{name}")

    return run


class Validator:
    """Encodes events of one type, refusing what must not reach the log.

    The encoding of an accepted event decodes, by type, to an equal event.
    """

    __slots__ = ("_check", "_decode", "_flat", "_name", "_seen", "_times")

    def __init__(self, event: type[msgspec.Struct]) -> None:
        info = inspect.type_info(event)
        assert isinstance(info, inspect.StructType)
        self._name = event.__name__
        self._check = _check_of(info, {})
        self._decode = msgspec.json.Decoder(event).decode
        self._times = tuple(
            field.name for field in info.fields if _may_be(field.type, inspect.DateTimeType)
        )
        # Where no field holds other values, the types of the fields' values say nearly everything,
        # so a combination of types is checked in full only the first time it comes.
        self._flat = not any(_may_be(field.type, *_NESTED) for field in info.fields)
        self._seen: set[tuple[type, ...]] = set()

    def encode(self, event: msgspec.Struct) -> bytes:
        """Return the event's data as JSON.

        Raises: EventInvalid, naming the field, where a value is not what its type says.
        """
        try:
            data = msgspec.json.encode(event)
            types = tuple(map(type, msgspec.structs.astuple(event)))
            if types not in self._seen or b'Infinity"' in data or not self._all_utc(event):
                if self._check is not None:
                    self._check(event, self._name)
                if self._flat:
                    self._seen.add(types)
            # NaN differs from itself, and a naive time from the decoded one.
            same: bool = self._decode(data) == event
        except EventInvalid:
            raise
        except (msgspec.MsgspecError, TypeError, ValueError, AttributeError) as error:
            if self._check is not None and isinstance(event, msgspec.Struct):
                self._check(event, self._name)  # says it in the words of the field, if it can
            raise EventInvalid(
                f"{self._name} cannot be recorded: {error}",
                remedy="give the field a value of its declared type",
            ) from error
        if not same:
            if self._check is not None:
                self._check(event, self._name)
            raise EventInvalid(
                f"{self._name} would not read back as it was written",
                where=data.decode()[:200],
                remedy="use the field types exactly as declared: no subclasses of them",
            )
        return data

    def _all_utc(self, event: msgspec.Struct) -> bool:
        for name in self._times:
            value = getattr(event, name)
            if value is not None and value.tzinfo is not datetime.UTC:
                return False
        return True


_NESTED = (
    inspect.StructType, inspect.DictType, inspect.ListType, inspect.SetType, inspect.FrozenSetType,
    inspect.VarTupleType, inspect.TupleType, inspect.AnyType, inspect.DataclassType,
    inspect.TypedDictType, inspect.NamedTupleType, inspect.FloatType, inspect.RawType,
    inspect.CustomType, inspect.ExtType,
)  # fmt: skip


def _may_be(kind: inspect.Type, *wanted: type[inspect.Type]) -> bool:
    """Say whether a field of this type may hold a value of the wanted types."""
    if isinstance(kind, inspect.Metadata):
        return _may_be(kind.type, *wanted)
    if isinstance(kind, inspect.UnionType):
        return any(_may_be(one, *wanted) for one in kind.types)
    return isinstance(kind, wanted)
