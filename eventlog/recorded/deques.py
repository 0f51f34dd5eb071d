"""A deque that tells its collection of every change before it happens."""

import copy
import operator
from collections import deque
from collections.abc import Iterable
from typing import Any, SupportsIndex

from eventlog.recorded.changing import Changing, items_of
from eventlog.recorded.places import Place, Watched


class RecordedDeque(Watched, deque[Any]):
    """A recorded deque or ring buffer. Outside it is a deque like any other."""

    __slots__ = ("_place",)

    def __init__(self, values: Iterable[Any] = (), maxlen: int | None = None) -> None:
        super().__init__(values, maxlen)
        self._place: Place | None = None

    def _do(self, operation: str, *arguments: Any) -> Any:
        """Do what the deque's operation does, recorded first; return what it returns."""
        with Changing(self) as place:
            values = deque(self, self.maxlen)
            result = getattr(deque, operation)(values, *arguments)
            if place is None:
                getattr(deque, operation)(self, *arguments)
            else:
                place.collection.become(list(values))
            return self if result is values else result

    # --- at the ends

    def append(self, value: Any, /) -> None:
        """Add an item at the right; a full one loses its leftmost."""
        with Changing(self) as place:
            if place is None:
                deque.append(self, value)
            else:
                place.collection.extend([value])

    def appendleft(self, value: Any, /) -> None:
        """Add an item at the left; a full one loses its rightmost."""
        with Changing(self) as place:
            if place is None:
                deque.appendleft(self, value)
            else:
                place.collection.extend_left([value])

    def extend(self, values: Iterable[Any], /) -> None:
        """Add items at the right."""
        items = items_of(self, values)
        with Changing(self) as place:
            if place is None:
                deque.extend(self, items)
            elif items:
                place.collection.extend(items)

    def extendleft(self, values: Iterable[Any], /) -> None:
        """Add items at the left, one after the other."""
        items = items_of(self, values)
        with Changing(self) as place:
            if place is None:
                deque.extendleft(self, items)
            elif items:
                place.collection.extend_left(items)

    def pop(self) -> Any:  # type: ignore[override]
        """Remove and return the rightmost item; raises IndexError where there is none."""
        return self._pop("pop", -1)

    def popleft(self) -> Any:
        """Remove and return the leftmost item; raises IndexError where there is none."""
        return self._pop("popleft", 0)

    def _pop(self, operation: str, at: int) -> Any:
        with Changing(self) as place:
            if place is None or not self:
                return getattr(deque, operation)(self)
            value = self[at]
            if at:
                place.collection.pop()
            else:
                place.collection.pop_left()
            return value

    def __iadd__(self, values: Iterable[Any], /) -> "RecordedDeque":  # type: ignore[misc]
        self.extend(values)
        return self

    def __imul__(self, times: SupportsIndex, /) -> "RecordedDeque":
        number = operator.index(times)
        with Changing(self) as place:
            if place is None:
                deque.__imul__(self, number)
            elif number <= 0:
                place.collection.become([])
            elif number > 1 and self:
                place.collection.extend(list(self) * (number - 1))
        return self

    # --- anywhere

    def insert(self, index: int, value: Any, /) -> None:
        """Add an item before a place; raises IndexError where it is full."""
        self._do("insert", index, value)

    def remove(self, value: Any, /) -> None:
        """Remove the first item that equals `value`; raises ValueError where none does."""
        self._do("remove", value)

    def rotate(self, steps: int = 1, /) -> None:
        """Move `steps` items from the right end to the left."""
        self._do("rotate", steps)

    def reverse(self) -> None:
        """Turn the order round."""
        self._do("reverse")

    def clear(self) -> None:
        """Remove all items."""
        self._do("clear")

    def __setitem__(self, index: SupportsIndex, value: Any, /) -> None:  # type: ignore[override]
        self._do("__setitem__", index, value)

    def __delitem__(self, index: SupportsIndex, /) -> None:  # type: ignore[override]
        self._do("__delitem__", index)

    def __repr__(self) -> str:
        return repr(self.copy())

    # --- copies are plain

    def copy(self) -> deque[Any]:  # type: ignore[override]
        """Return a plain deque of the same items."""
        return deque(self, self.maxlen)

    __copy__ = copy  # type: ignore[assignment]

    def __add__(self, other: Any, /) -> Any:
        return self.copy() + other

    def __mul__(self, times: int, /) -> Any:
        return self.copy() * times

    def __rmul__(self, times: int, /) -> Any:
        return self.copy() * times

    def __deepcopy__(self, memo: dict[int, Any]) -> deque[Any]:
        made: deque[Any] = deque(maxlen=self.maxlen)
        memo[id(self)] = made
        made.extend(copy.deepcopy(item, memo) for item in list(self))
        return made

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return deque, (list(self), self.maxlen)
