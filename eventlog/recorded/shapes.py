"""What is known of one class of watched objects: its fields, and how they are read and set."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from eventlog.recorded.places import MISSING
from eventlog.recorded.watchable import is_frozen, may_change


class Shape:
    """The fields of a Struct, dataclass or attrs class, past whatever guards its attributes."""

    __slots__ = ("_struct", "cls", "fields", "frozen", "nested", "set_field", "watched")

    def __init__(self, cls: type) -> None:
        info: Any = inspect.type_info(cls)
        self.cls = cls
        self.fields = tuple(field.name for field in info.fields)
        self.nested = tuple(field.name for field in info.fields if may_change(field.type))
        """Fields whose values may change in place."""
        self.frozen = is_frozen(cls)
        self.watched = bool(self.nested) or not self.frozen
        """Whether an object of the class has a place of its own."""
        self._struct = issubclass(cls, msgspec.Struct)
        self.set_field: Callable[[Any, str, Any], None] = (
            msgspec.structs.force_setattr if self._struct else object.__setattr__
        )

    def copy(self, value: Any) -> Any:
        """Return a shallow copy, made without any of the class's own code."""
        if self._struct:
            return value.__copy__()
        made: Any = object.__new__(self.cls)
        own = getattr(value, "__dict__", None)
        if own is not None:
            made.__dict__.update(own)
        for name in self.fields:
            if own is None or name not in own:
                self._carry(name, value, made)
        return made

    def _carry(self, name: str, value: Any, made: Any) -> None:
        try:
            found = object.__getattribute__(value, name)
        except AttributeError:
            return
        if found is not getattr(self.cls, name, MISSING):  # else a default of the class's own
            object.__setattr__(made, name, found)

    def make(self, values: dict[str, Any]) -> Any:
        """Return a new object with these values of its fields."""
        if self._struct:
            return self.cls(**values)
        made: Any = object.__new__(self.cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def drop_field(self, value: Any, name: str) -> None:
        """Remove a field's value."""
        object.__delattr__(value, name)


_shapes: dict[type, Shape] = {}


def shape_of(cls: type) -> Shape | None:
    """Return a class's shape, None where it was never learnt."""
    return _shapes.get(cls)


def learn(cls: type) -> Shape:
    """Return a class's shape; from now on `shape_of` knows it."""
    if cls not in _shapes:
        _shapes[cls] = Shape(cls)
    return _shapes[cls]
