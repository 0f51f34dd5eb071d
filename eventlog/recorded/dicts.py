"""A dict that tells its collection of every change before it happens."""

import copy
from collections.abc import Sequence
from typing import Any, SupportsIndex

from eventlog.recorded.changing import Changing, Reading
from eventlog.recorded.places import MISSING, Place, Watched


class RecordedDict(Watched, dict[Any, Any]):
    """A dict within a recorded collection, or itself one. Outside it is a dict like any other.

    Every change is keys that go, and pairs that come or replace.
    """

    __slots__ = ("_place",)

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self._place: Place | None = None

    def _change(self, place: Place | None, gone: Sequence[Any], new: dict[Any, Any]) -> None:
        if place is not None:
            place.collection.change(self, place, gone, new)
            return
        for key in gone:
            dict.__delitem__(self, key)
        dict.update(self, new)

    def __setitem__(self, key: Any, value: Any, /) -> None:
        with Changing(self) as place:
            if self.get(key, MISSING) is not value:
                self._change(place, (), {key: value})

    def __delitem__(self, key: Any, /) -> None:
        with Changing(self) as place:
            if key not in self:
                raise KeyError(key)
            self._change(place, (key,), {})

    def pop(self, key: Any, default: Any = MISSING, /) -> Any:
        """Remove a key and return its value, or the default; raises KeyError without either."""
        with Changing(self) as place:
            value = self.get(key, MISSING)
            if value is not MISSING:
                self._change(place, (key,), {})
                return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[Any, Any]:
        """Remove and return the newest pair; raises KeyError where there is none."""
        with Changing(self) as place:
            if not self:
                raise KeyError("popitem(): dictionary is empty")
            key = next(reversed(self))
            value = self[key]
            self._change(place, (key,), {})
            return key, value

    def clear(self) -> None:
        """Remove everything."""
        with Changing(self) as place:
            if self:
                self._change(place, list(self), {})

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a key, which is `default` from now on where there was none."""
        with Changing(self) as place:
            if key not in self:
                self._change(place, (), {key: default})
            return self[key]

    def update(self, *values: Any, **named: Any) -> None:
        """Set the pairs of a mapping or of an iterable, and those named."""
        with Reading(self):
            new = dict(*values, **named)
        with Changing(self) as place:
            if new := {k: v for k, v in new.items() if self.get(k, MISSING) is not v}:
                self._change(place, (), new)

    def __ior__(self, values: Any, /) -> "RecordedDict":  # type: ignore[misc]
        self.update(values)
        return self

    # --- copies are plain

    def copy(self) -> dict[Any, Any]:
        """Return a plain dict of the same values."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        memo[id(self)] = made
        for key, value in list(self.items()):
            made[copy.deepcopy(key, memo)] = copy.deepcopy(value, memo)
        return made

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        return dict, (dict(self),)
