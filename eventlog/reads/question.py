"""What a read asks for, in a form that memory and tables understand alike."""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, get_type_hints

import msgspec

from schemas.domain import Kind
from schemas.errors import FerryError


class QuestionInvalid(FerryError):
    """A read asks for a field that there is not, or for a value that the field cannot have."""


class Question(NamedTuple):
    """Entities of one kind, in the order of their keys."""

    equal: Mapping[str, Any]
    """Fields and the values they must have."""
    behind: tuple[Any, ...] | None = None
    """Only those whose key comes after this one."""
    limit: int | None = None
    newest: bool = False
    """Where there are more than `limit`: the last of them, not the first."""


class Questions:
    """Makes questions about one kind, their values checked against the entity's own types."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._types = get_type_hints(kind.entity)  # without their constraints: those only bar
        columns = kind.tables[0].columns if kind.tables else kind.fields
        self._fields = [name for name in kind.fields if name in columns]

    def one(self, key: Any) -> Question:
        """Ask for the entity of a key: the value, or the tuple of values where there are several.

        Raises, as the others do: QuestionInvalid.
        """
        return Question(dict(zip(self._kind.key, self._values(self._kind.key, key), strict=True)))

    def of_stream(self, stream_key: Any, limit: int | None) -> Question:
        """Ask for the newest entities of a stream."""
        values = self._values(self._kind.stream, stream_key)
        equal = dict(zip(self._kind.stream, values, strict=True))
        return Question(equal, limit=self._limit(limit), newest=True)

    def find(self, equal: Mapping[str, Any], limit: int | None) -> Question:
        """Ask for the entities whose fields have these values."""
        checked = {name: self._value(name, value) for name, value in equal.items()}
        return Question(checked, limit=self._limit(limit))

    def page(self, behind: Any, limit: int) -> Question:
        """Ask for the entities that come after a key."""
        start = None if behind is None else self._values(self._kind.key, behind)
        return Question({}, start, self._limit(limit))

    def key_of_text(self, text: str) -> Any:
        """Return the key that a text names: its parts joined by `/`, as `key_text` writes them.

        Only the first part may itself hold a `/`.
        """
        names = self._kind.key
        parts = text.rsplit("/", len(names) - 1)
        if len(parts) != len(names):
            raise self._invalid(f"{text!r:.80} is no key", f"write it {'/'.join(names)}")
        pairs = zip(names, parts, strict=True)
        numbers = {name for name in names if self._types[name] is int}
        values = tuple(self._value(n, part, strict=n not in numbers) for n, part in pairs)
        return values[0] if len(names) == 1 else values

    def _values(self, names: tuple[str, ...], given: Any) -> tuple[Any, ...]:
        values = given if len(names) > 1 else (given,)
        if not isinstance(values, tuple) or len(values) != len(names):
            raise self._invalid(
                f"{given!r:.80} is not a value for {', '.join(names)}",
                f"give {'a tuple of ' if len(names) > 1 else ''}{', '.join(names)}",
            )
        return tuple(map(self._value, names, values))

    def _value(self, name: str, value: Any, *, strict: bool = True) -> Any:
        if name not in self._fields:
            raise self._invalid(
                f"it has no field {name!r} to ask for", "ask for one of: " + ", ".join(self._fields)
            )
        try:
            found = msgspec.convert(value, self._types[name], strict=strict)
        except msgspec.ValidationError as error:
            raise self._invalid(
                f"{name} cannot be {value!r:.80}: {error}", "give a value of the field's type"
            ) from error
        if not _is_storable(found):
            raise self._invalid(
                f"{name} cannot be {value!r:.80}: no column holds it",
                "give finite numbers, times with a zone, and text that is UTF-8 without NUL",
            )
        return found

    def _limit(self, limit: int | None) -> int | None:
        if limit is not None and limit < 0:
            raise self._invalid(f"the limit is {limit}", "give one from 0 on")
        return limit

    def _invalid(self, what: str, remedy: str) -> QuestionInvalid:
        where = f"a read of kind {self._kind.name!r}"
        return QuestionInvalid(f"{where}: {what}", where=where, remedy=remedy)


def _is_storable(value: Any) -> bool:
    match value:
        case str():
            return _is_text(value)
        case Decimal():
            return value.is_finite()
        case float():
            return math.isfinite(value)
        case datetime():
            return value.tzinfo is not None
        case _:
            return True


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False
