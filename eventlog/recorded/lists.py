"""A list that tells its collection of every change before it happens."""

import copy
import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

from eventlog.recorded.changing import Changing, items_of
from eventlog.recorded.places import Place, Watched


class RecordedList(Watched, list[Any]):
    """A list within a recorded collection, or itself one. Outside it is a list like any other.

    Every change is one splice: a stretch of places replaced by other items.
    """

    __slots__ = ("_place",)

    def __init__(self, values: Iterable[Any] = (), /) -> None:
        super().__init__(values)
        self._place: Place | None = None

    def _splice(self, place: Place | None, start: int, stop: int, items: list[Any]) -> None:
        if place is None:
            list.__setitem__(self, slice(start, stop), items)
        else:
            place.collection.splice(self, place, start, stop, items)

    def _become(self, place: Place | None, values: list[Any]) -> None:
        """Replace everything by `values`, leaving what is the same at both ends."""
        start, shorter = 0, min(len(self), len(values))
        while start < shorter and self[start] is values[start]:
            start += 1
        behind = 0
        while behind < shorter - start and self[-1 - behind] is values[-1 - behind]:
            behind += 1
        stop = len(self) - behind
        if start < stop or behind + start < len(values):
            self._splice(place, start, stop, values[start : len(values) - behind])

    # --- growing

    def append(self, value: Any, /) -> None:
        """Add an item at the end."""
        with Changing(self) as place:
            self._splice(place, len(self), len(self), [value])

    def extend(self, values: Iterable[Any], /) -> None:
        """Add items at the end."""
        items = items_of(self, values)
        with Changing(self) as place:
            if items:
                self._splice(place, len(self), len(self), items)

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        """Add an item before a place."""
        with Changing(self) as place:
            start = slice(operator.index(index), None).indices(len(self))[0]
            self._splice(place, start, start, [value])

    def __iadd__(self, values: Iterable[Any], /) -> "RecordedList":  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, times: SupportsIndex, /) -> "RecordedList":
        number = operator.index(times)
        with Changing(self) as place:
            if number <= 0:
                self._become(place, [])
            elif number > 1 and self:
                self._splice(place, len(self), len(self), list(self) * (number - 1))
        return self

    # --- shrinking

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Remove and return the item at a place, the last by default."""
        with Changing(self) as place:
            if not self:
                raise IndexError("pop from empty list")
            at = self._index_of(index, "pop index out of range")
            value = self[at]
            self._splice(place, at, at + 1, [])
            return value

    def remove(self, value: Any, /) -> None:
        """Remove the first item that equals `value`; raises ValueError where none does."""
        with Changing(self) as place:
            at = list.index(self, value)
            self._splice(place, at, at + 1, [])

    def clear(self) -> None:
        """Remove all items."""
        with Changing(self) as place:
            self._become(place, [])

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        with Changing(self) as place:
            if isinstance(index, slice):
                values = list(self)
                del values[index]
                self._become(place, values)
            else:
                at = self._index_of(index, "list assignment index out of range")
                self._splice(place, at, at + 1, [])

    # --- changing in place

    def __setitem__(self, index: Any, value: Any, /) -> None:
        if not isinstance(index, slice):
            with Changing(self) as place:
                at = self._index_of(index, "list assignment index out of range")
                if self[at] is not value:
                    self._splice(place, at, at + 1, [value])
            return
        items = items_of(self, value)
        with Changing(self) as place:
            values = list(self)
            values[index] = items
            self._become(place, values)

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """Order the items; stable."""
        with Changing(self) as place:
            self._become(place, sorted(self, key=key, reverse=reverse))

    def reverse(self) -> None:
        """Turn the order round."""
        with Changing(self) as place:
            self._become(place, self[::-1])

    def _index_of(self, index: SupportsIndex, out_of_range: str) -> int:
        number = operator.index(index)
        at = number + len(self) if number < 0 else number
        if not 0 <= at < len(self):
            raise IndexError(out_of_range)
        return at

    # --- copies are plain

    def copy(self) -> list[Any]:
        """Return a plain list of the same items."""
        return list(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        made: list[Any] = []
        memo[id(self)] = made
        made.extend(copy.deepcopy(item, memo) for item in list(self))
        return made

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return list, (list(self),)
