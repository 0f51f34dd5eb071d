"""How an element of a collection is the entity of its kind, and back."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol, get_type_hints

import msgspec

from eventlog.recorded.refusals import KeyDiffers
from eventlog.recorded.shapes import learn
from schemas.derived.describe import KindNotDerivable, fields_of
from schemas.domain import Kind
from schemas.validity import EventInvalid


class Elements(Protocol):
    """One collection's way from its elements to entities of its kind."""

    def entity(self, key: Any, element: Any) -> Any:
        """Return the entity of an element under a key; raises KeyDiffers, EventInvalid."""

    def element(self, entity: Any) -> Any:
        """Return the element that an entity is."""

    def key(self, entity: Any) -> Any:
        """Return the key under which the collection has an entity's element."""


class Entities:
    """Elements that are entities, filed under their own keys."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.key = kind.key_getter()

    def entity(self, key: Any, element: Any) -> Any:
        """Return the element, whose key must be the one it is filed under."""
        kind = self._kind
        if type(element) is not kind.entity:
            raise EventInvalid(
                f"{key!r}: a {type(element).__name__} is no {kind.entity.__name__}",
                where=f"kind {kind.name}",
                remedy=f"keep {kind.entity.__name__} there, and no subclass of it",
            )
        own = self.key(element)
        if own != key:
            raise KeyDiffers(
                f"{key!r} would hold the entity of {own!r}",
                where=f"kind {kind.name}, {', '.join(kind.key)}",
                remedy="file each entity under its own key; to change a key, remove the entity and "
                "put the new one",
            )
        return element

    def element(self, entity: Any) -> Any:
        """Return the entity."""
        return entity


class Wrapped:
    """Elements of any type: an entity has their place, then their own fields or `value`."""

    def __init__(self, name: str, places: Sequence[tuple[str, type]], declared: Any) -> None:
        self._name = name
        self._key_type = places[-1][1]
        self._fixed = (name,) * (len(places) - 1)
        self.key = attrgetter(places[-1][0])
        self._type: Any = declared if _is_object(declared) else None
        fields = list(_fields_of(declared) if self._type else [("value", declared)])
        self._names = tuple(field for field, _ in fields)
        self._get = attrgetter(*self._names)
        in_the_way = sorted({place for place, _ in places} & set(self._names))
        if in_the_way:
            raise KindNotDerivable(
                f"{declared.__name__}.{in_the_way[0]}: {name!r} keeps its own {in_the_way[0]!r} in "
                "a column of that name",
                where=f"{declared.__module__}.{declared.__qualname__}",
                remedy="give the field another name",
            )
        self.wrapper: Any = msgspec.defstruct(
            f"{name.title().replace('_', '')}Element", [*places, *fields], frozen=True
        )

    def entity(self, key: Any, element: Any) -> Any:
        """Return an element with its place."""
        if type(key) is not self._key_type:
            raise KeyDiffers(
                f"{key!r} is a {type(key).__name__}, keys are {self._key_type.__name__}",
                where=self._name,
                remedy=f"convert the key first: {self._key_type.__name__}(...)",
            )
        if self._type is None:
            return self.wrapper(*self._fixed, key, element)
        if type(element) is not self._type:
            raise EventInvalid(
                f"{key!r}: a {type(element).__name__} is no {self._type.__name__}",
                where=self._name,
                remedy=f"keep {self._type.__name__} there, and no subclass of it",
            )
        try:
            values = self._get(element)
        except AttributeError as error:
            raise EventInvalid(
                f"{key!r}: a field is missing: {error}", where=self._name, remedy="set every field"
            ) from error
        return self.wrapper(*self._fixed, key, *(values if len(self._names) > 1 else (values,)))

    def element(self, entity: Any) -> Any:
        """Return the element of an entity."""
        values = [getattr(entity, name) for name in self._names]
        if self._type is None:
            return values[0]
        return learn(self._type).make(dict(zip(self._names, values, strict=True)))


def _is_object(declared: Any) -> bool:
    return isinstance(declared, type) and (
        hasattr(declared, "__struct_fields__")
        or hasattr(declared, "__dataclass_fields__")
        or hasattr(declared, "__attrs_attrs__")
    )


def _fields_of(declared: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(declared, include_extras=True)
    return [(field.name, hints[field.name]) for field in fields_of(declared)]
