"""The app's own entities as state-carrying events: what no column could keep is refused here."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec

from schemas.derived.describe import constrained, fields_of
from schemas.derived.description import KindDescription
from schemas.derived.document import document_of
from schemas.validity import EventInvalid

_REFUSED = (msgspec.MsgspecError, TypeError, ValueError, AttributeError, OverflowError)
_NUL = b"\\u0000"
_NATIVE = (Decimal, datetime.datetime, datetime.date)
_NUMERIC_DIGITS = (-16_383, 131_071)
"""PostgreSQL's numeric: the places of its last digit behind the point, and of its first."""


def require_numeric(value: Any, place: str) -> None:
    """Check that a column of type numeric holds a value; raises EventInvalid."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return  # another check names these
    least, most = _NUMERIC_DIGITS
    exponent = value.as_tuple().exponent
    if not (value.adjusted() <= most and isinstance(exponent, int) and exponent >= least):
        raise EventInvalid(
            f"{place} is {value:.3e}, with more digits than PostgreSQL's numeric has",
            remedy="quantize it: numeric ends at 131,072 digits before the point, 16,383 behind",
        )


class Freezer:
    """Makes the state-carrying event of the app's own entities, checking what columns cannot."""

    def __init__(self, description: KindDescription, entity: type, stated: type) -> None:
        self._stated = stated
        self._entity = entity
        fields = fields_of(entity)
        columns = {column.name: column for column in description.columns}
        self._get: Callable[[Any], tuple[Any, ...]] = (
            attrgetter(*(field.name for field in fields))
            if len(fields) > 1
            else (lambda value: (getattr(value, fields[0].name),))
        )
        declared = get_type_hints(entity, include_extras=True)
        self._documents: list[tuple[int, str, Any]] = []
        self._constrained: list[tuple[int, str, Any]] = []
        self._money: list[tuple[int, str]] = []
        for place, field in enumerate(fields):
            entry = (place, field.name, declared[field.name])
            if columns[field.name].type == "document":
                self._documents.append(entry)
            elif constrained(field.type):
                self._constrained.append(entry)
            elif columns[field.name].type == "decimal":
                self._money.append((place, field.name))

    def freeze(self, entity: Any) -> Any:
        """Return the event; it shares nothing that may change with the entity."""
        if type(entity) is not self._entity:
            raise EventInvalid(
                f"a {type(entity).__name__} is no {self._entity.__name__}",
                remedy=f"keep {self._entity.__name__} there, and no subclass of it",
            )
        try:
            values = self._get(entity)
        except AttributeError as error:
            raise EventInvalid(f"a field is missing: {error}", remedy="set every field") from error
        for place, name in self._money:
            require_numeric(values[place], f"{self._entity.__name__}.{name}")
        if not (self._documents or self._constrained):
            return self._stated(*values)
        changed = list(values)
        for place, name, declared in self._documents:
            changed[place] = self._document(name, changed[place], declared)
        for place, name, declared in self._constrained:
            changed[place] = self._scalar(name, changed[place], declared)
        return self._stated(*changed)

    def _document(self, name: str, value: Any, declared: Any) -> Any:
        """Return a value as JSON has it, where that reads back as what its field declares."""
        try:
            data, other_keys = document_of(value)
            plain = msgspec.json.decode(data)
            msgspec.msgpack.encode(plain)  # refuses integers of more than 64 bits
            back = msgspec.convert(plain, declared, str_keys=True)
            same = document_of(back)[0] == data
            # Money that is no number is not equal to itself; two keys may have one text.
            if same and (other_keys or b'"NaN"' in data or b'Infinity"' in data):
                same = bool(back == value)
        except _REFUSED as error:
            raise self._refusal(name, f"cannot be recorded: {error}") from error
        if not same:
            raise self._refusal(name, "would not read back as it was written")
        if _NUL in data:
            raise self._refusal(name, "holds a NUL character, which PostgreSQL cannot keep")
        return plain

    def _scalar(self, name: str, value: Any, declared: Any) -> Any:
        """Return a value as its column has it, where its field's declaration allows it."""
        try:
            plain = msgspec.to_builtins(value, builtin_types=_NATIVE)
            same = bool(msgspec.convert(plain, declared, builtin_types=_NATIVE) == value)
        except _REFUSED as error:
            raise self._refusal(name, f"cannot be recorded: {error}") from error
        if not same:
            raise self._refusal(name, "would not read back as it was written")
        return plain

    def _refusal(self, name: str, what: str) -> EventInvalid:
        return EventInvalid(
            f"{self._entity.__name__}.{name} {what}",
            remedy="give the field a value of its declared type",
        )
