"""A set that tells its collection of every change before it happens."""

from collections.abc import Iterable
from typing import Any, SupportsIndex

from eventlog.recorded.changing import Changing, items_of
from eventlog.recorded.places import Place, Watched


class RecordedSet(Watched, set[Any]):
    """A set within a recorded collection. Outside it is a set like any other."""

    __slots__ = ("_place",)

    def __init__(self, values: Iterable[Any] = (), /) -> None:
        super().__init__(values)
        self._place: Place | None = None

    def _do(self, operation: str, *arguments: Any) -> Any:
        """Do what the set's operation does, recorded first; return what it returns."""
        with Changing(self) as place:
            values = set(self)
            result = getattr(set, operation)(values, *arguments)
            if place is None:
                self._become(values)
            elif values != self:
                place.collection.replace_set(self, place, values)
            return self if result is values else result

    def _become(self, values: set[Any]) -> None:
        set.difference_update(self, set(self) - values)
        set.update(self, values)

    def add(self, value: Any, /) -> None:
        """Add an item."""
        self._do("add", value)

    def discard(self, value: Any, /) -> None:
        """Remove an item where it is there."""
        self._do("discard", value)

    def remove(self, value: Any, /) -> None:
        """Remove an item; raises KeyError where it is not there."""
        self._do("remove", value)

    def pop(self) -> Any:
        """Remove and return some item; raises KeyError where there is none."""
        return self._do("pop")

    def clear(self) -> None:
        """Remove all items."""
        self._do("clear")

    def update(self, *values: Iterable[Any]) -> None:
        """Add items."""
        self._do("update", *[items_of(self, one) for one in values])

    def difference_update(self, *values: Iterable[Any]) -> None:
        """Remove items."""
        self._do("difference_update", *[items_of(self, one) for one in values])

    def intersection_update(self, *values: Iterable[Any]) -> None:
        """Keep only the items that are in all of these too."""
        self._do("intersection_update", *[items_of(self, one) for one in values])

    def symmetric_difference_update(self, values: Iterable[Any], /) -> None:
        """Remove the items that are in both, add those that are only in the other."""
        self._do("symmetric_difference_update", items_of(self, values))

    def __ior__(self, values: Any, /) -> Any:  # type: ignore[misc]
        return self._do("__ior__", values)

    def __iand__(self, values: Any, /) -> Any:  # type: ignore[misc]
        return self._do("__iand__", values)

    def __isub__(self, values: Any, /) -> Any:  # type: ignore[misc]
        return self._do("__isub__", values)

    def __ixor__(self, values: Any, /) -> Any:  # type: ignore[misc]
        return self._do("__ixor__", values)

    def __repr__(self) -> str:
        return repr(self.copy())

    # --- copies are plain

    def copy(self) -> set[Any]:
        """Return a plain set of the same items."""
        return set(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> set[Any]:
        return set(self)  # what it holds cannot change

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return set, (set(self),)
