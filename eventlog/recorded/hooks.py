"""The hook on a class's attribute writes: objects that a collection owns tell it beforehand."""

from typing import Any

import msgspec

from eventlog.recorded.changing import Changing
from eventlog.recorded.places import MISSING, Registry, watchers_of
from eventlog.recorded.refusals import Unwatchable
from eventlog.recorded.shapes import Shape, learn

_PLAIN = frozenset((
    object.__setattr__, object.__delattr__, msgspec.Struct.__setattr__, msgspec.Struct.__delattr__,
))  # fmt: skip
"""Writes that do to an attribute what they are told, and no more."""


def hook(cls: type, registry: Registry) -> Shape:
    """Let a registry's objects of this class tell of attribute writes; others are as they were.

    The class gets its hook once. Raises: Unwatchable where a class takes none.
    """
    shape = learn(cls)
    watchers_of(cls).add(registry)
    if not shape.frozen and not hasattr(cls.__dict__.get("__setattr__"), "memferry_original"):
        try:
            _install(cls, shape)
        except TypeError as error:
            raise Unwatchable(
                f"attribute writes of {cls.__name__} cannot be seen: {error}",
                where=f"{cls.__module__}.{cls.__qualname__}",
                remedy="make it a Struct, dataclass or attrs class of your own",
            ) from error
    return shape


def _install(cls: type, shape: Shape) -> None:
    write, remove = _original(cls, "__setattr__"), _original(cls, "__delattr__")
    watchers = watchers_of(cls)

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if watchers.find(self) is not None and name in shape.fields:
            _change(self, shape, name, write, (value,))
            return
        write(self, name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if watchers.find(self) is not None and name in shape.fields:
            _change(self, shape, name, remove, ())
            return
        remove(self, name)

    set_attribute.memferry_original = write  # type: ignore[attr-defined]
    delete_attribute.memferry_original = remove  # type: ignore[attr-defined]
    cls.__setattr__ = set_attribute  # type: ignore[method-assign, assignment]
    cls.__delattr__ = delete_attribute  # type: ignore[method-assign, assignment]


def _original(cls: type, name: str) -> Any:
    found = getattr(cls, name)
    return getattr(found, "memferry_original", found)


def _change(value: Any, shape: Shape, name: str, do: Any, arguments: tuple[Any, ...]) -> None:
    """Do to a copy what the class does to an attribute; record what came of it, and keep that."""
    with Changing(value) as place:
        if place is None:
            do(value, name, *arguments)
            return
        if arguments and getattr(value, name, MISSING) is arguments[0]:
            return
        candidate = shape.copy(value)
        do(candidate, name, *arguments)
        if do in _PLAIN:
            changed = {name: arguments[0] if arguments else MISSING}
        else:
            changed = {
                field: now
                for field in shape.fields
                if (now := getattr(candidate, field, MISSING)) is not getattr(value, field, MISSING)
            }
        if changed or not arguments:
            place.collection.write(place, shape, candidate, changed or {name: MISSING})
