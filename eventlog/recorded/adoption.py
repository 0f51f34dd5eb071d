"""Values taken into a collection, and let go: what can change gets a place, plain containers become
recorded ones."""

from collections.abc import Iterable
from typing import Any

from eventlog.recorded.dicts import RecordedDict
from eventlog.recorded.lists import RecordedList
from eventlog.recorded.places import Place, Watched, place_of
from eventlog.recorded.refusals import OwnedElsewhere, Unwatchable
from eventlog.recorded.sets import RecordedSet
from eventlog.recorded.shapes import Shape, shape_of

_CONTAINERS = (list, dict, set)


class Arrival:
    """Values that are to come into one holder while others leave it.

    First all are checked, and nothing changes; then all are taken; then those that leave released.
    In this order, so that what stays is never without a place.
    """

    def __init__(self, holder: Place, leaving: Iterable[Any] = ()) -> None:
        self._collection = holder.collection
        self._holder = holder
        self._seen: dict[int, Any] = {}
        self._path: list[Any] = []
        self._leaving: dict[int, int] = {}
        for value in leaving:
            self._leaving[id(value)] = self._leaving.get(id(value), 0) + 1

    # --- checking

    def check(self, value: Any, where: str) -> None:
        """Require that a value can be watched there; raises Unwatchable, OwnedElsewhere."""
        self._check(value, where, self._holder)

    def _check(self, value: Any, where: str, holder: Any) -> None:
        cls = type(value)
        if cls is RecordedSet or cls is set:
            return  # what it holds cannot change
        if issubclass(cls, _CONTAINERS):
            self._check_container(value, where, holder)
        elif issubclass(cls, tuple):
            for number, item in enumerate(value):
                self._check(item, f"{where}[{number}]", holder)
        elif (shape := shape_of(cls)) is not None and cls in self._collection.classes:
            if shape.watched:
                self._check_object(value, shape, where, holder)
        elif _has_fields(cls):
            raise Unwatchable(
                f"{where} is a {cls.__name__}, which nothing declares there",
                where=self._collection.name,
                remedy="declare its very type in the field that holds it, no base class of it",
            )

    def _check_container(self, value: Any, where: str, holder: Any) -> None:
        cls = type(value)
        if cls not in (list, dict, RecordedList, RecordedDict):
            raise Unwatchable(
                f"{where} is a {cls.__name__}, of which only a plain copy could be kept",
                where=self._collection.name,
                remedy=f"give a plain {'dict' if issubclass(cls, dict) else 'list'}",
            )
        place = value._place if isinstance(value, Watched) else None
        if place is not None and place.parent is holder:
            return  # it only changes its place there
        if any(value is one for one in self._path):
            raise OwnedElsewhere(
                f"{where}: this {cls.__name__} holds itself",
                where=self._collection.name,
                remedy="put a copy there: copy.deepcopy(...)",
            )
        self._path.append(value)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            self._check(item, f"{where}[{key!r}]", value)
        self._path.pop()

    def _check_object(self, value: Any, shape: Shape, where: str, holder: Any) -> None:
        place = place_of(value)
        if place is not None:
            if place.parent is holder:
                return
            if not self._leaves(place):
                raise OwnedElsewhere(
                    f"{where}: this {type(value).__name__} is part of "
                    f"{place.collection.name!r} already, at another place",
                    where=self._collection.name,
                    remedy="remove it there first, or put a copy here: copy.deepcopy(...)",
                )
        if self._enter(value, where, holder):
            for name in shape.nested:
                if hasattr(value, name):
                    self._check(getattr(value, name), f"{where}.{name}", value)

    def _enter(self, value: Any, where: str, holder: Any) -> bool:
        """Note a new value; False where it was seen in the same holder already."""
        known = self._seen.get(id(value), self)
        if known is self:
            self._seen[id(value)] = holder
            return True
        if known is not holder:
            raise OwnedElsewhere(
                f"{where}: this {type(value).__name__} stands at two places of one value",
                where=self._collection.name,
                remedy="put a copy at one of them: copy.deepcopy(...)",
            )
        return False

    def _leaves(self, place: Place) -> bool:
        """Say whether a place is within a value that leaves for good."""
        above: Place | None = place
        while above is not None:
            if self._leaving.get(id(above.value), 0) >= above.count:
                return True
            above = above.parent
        return False

    # --- taking

    def take(self, value: Any) -> Any:
        """Give a checked value its place; return it as the holder is to keep it."""
        return self._take(value, self._holder)

    def _take(self, value: Any, holder: Place) -> Any:
        cls = type(value)
        if issubclass(cls, _CONTAINERS):
            return self._take_container(value, holder)
        if issubclass(cls, tuple):
            items = [self._take(item, holder) for item in value]
            if all(one is other for one, other in zip(items, value, strict=True)):
                return value
            return cls._make(items) if hasattr(cls, "_make") else cls(items)
        shape = shape_of(cls)
        if shape is None or not shape.watched or cls not in self._collection.classes:
            return value
        place = place_of(value)
        if place is not None:
            _move(place, holder)
            return value
        place = Place(self._collection, holder, value)
        for name in shape.nested:
            if hasattr(value, name):
                present = getattr(value, name)
                kept = self._take(present, place)
                if kept is not present:
                    shape.set_field(value, name, kept)
        self._collection.registry.places[id(value)] = place
        return value

    def _take_container(self, value: Any, holder: Place) -> Any:
        kept: Any
        if not isinstance(value, Watched):
            kept = _recorded(type(value))
        elif value._place is None:
            kept = value
        elif value._place.parent is holder or self._leaves(value._place):
            _move(value._place, holder)
            return value
        else:
            kept = type(value)()  # it stays where it is; here is a copy
        place = Place(self._collection, holder, kept)
        if isinstance(kept, list):
            list.__setitem__(kept, slice(None), [self._take(item, place) for item in list(value)])
        elif isinstance(kept, dict):
            for key, item in list(value.items()):
                dict.__setitem__(kept, key, self._take(item, place))
        elif kept is not value:
            set.update(kept, value)
        kept._place = place
        return kept


def release(value: Any, holder: Place) -> None:
    """Let a value go that a holder has once less; nobody watches it after the last time."""
    if isinstance(value, tuple):
        for item in value:
            release(item, holder)
        return
    place = place_of(value)
    if place is None or place.parent is not holder:
        return
    place.count -= 1
    if place.count:
        return
    if isinstance(value, Watched):
        value._place = None  # type: ignore[misc]
        inner: Iterable[Any] = ()
        if isinstance(value, list):
            inner = list(value)
        elif isinstance(value, dict):
            inner = list(value.values())
    else:
        del place.collection.registry.places[id(value)]
        shape = shape_of(type(value))
        inner = [getattr(value, name, None) for name in shape.nested] if shape else ()
    for item in inner:
        release(item, place)


def _move(place: Place, holder: Place) -> None:
    if place.parent is holder:
        place.count += 1
    else:
        place.parent = holder
        place.count = 1


def _recorded(cls: type) -> Any:
    if cls is list:
        return RecordedList()
    return RecordedDict() if cls is dict else RecordedSet()


def _has_fields(cls: type) -> bool:
    return (
        hasattr(cls, "__struct_fields__")
        or hasattr(cls, "__dataclass_fields__")
        or hasattr(cls, "__attrs_attrs__")
    )
