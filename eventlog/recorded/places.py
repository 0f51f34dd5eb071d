"""Who owns what: the place of every value that can change, up to the collection it is part of."""

import weakref
from typing import Any

MISSING: Any = object()
"""In place of a value: there is none."""


class Place:
    """One value's place: the collection, the place of what holds it, and how often that does."""

    __slots__ = ("collection", "count", "hint", "parent", "value")

    def __init__(self, collection: Any, parent: "Place | None", value: Any) -> None:
        self.collection = collection
        self.parent = parent
        """None for the collection itself."""
        self.value = value
        self.count = 1
        self.hint: Any = None
        """Of a collection's own elements: the key where it was found last."""


class Registry:
    """The places of one collection's objects, by identity: a Struct has no room for its own."""

    __slots__ = ("__weakref__", "places")

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}


class Watchers:
    """The registries that may hold objects of one class; the tuple is replaced, never changed."""

    __slots__ = ("refs",)

    def __init__(self) -> None:
        self.refs: tuple[weakref.ref[Registry], ...] = ()

    def add(self, registry: Registry) -> None:
        """Look in a registry too, as long as it lives."""
        if not any(ref() is registry for ref in self.refs):
            self.refs = (*self.refs, weakref.ref(registry, self._remove))

    def _remove(self, gone: "weakref.ref[Registry]") -> None:
        self.refs = tuple(ref for ref in self.refs if ref is not gone)

    def find(self, value: Any) -> Place | None:
        """Return an object's place, None where no collection owns it."""
        identity = id(value)
        for ref in self.refs:
            registry = ref()
            if registry is not None:
                place = registry.places.get(identity)
                if place is not None:
                    return place
        return None


_watching: dict[type, Watchers] = {}


def watchers_of(cls: type) -> Watchers:
    """Return the registries that may hold objects of a class, kept up to date."""
    return _watching.setdefault(cls, Watchers())


class Watched:
    """Base of the recorded containers: they know their own place."""

    __slots__ = ()
    _place: Place | None


def place_of(value: Any) -> Place | None:
    """Return the place of an object or recorded container, None where no collection owns it."""
    if isinstance(value, Watched):
        return value._place
    watchers = _watching.get(type(value))
    return None if watchers is None else watchers.find(value)
