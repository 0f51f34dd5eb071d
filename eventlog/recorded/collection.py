"""What every recorded collection does: a change within an element is recorded as that element."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

from eventlog.recorded.adoption import Arrival, release
from eventlog.recorded.copies import Copies, Copy
from eventlog.recorded.elements import Elements
from eventlog.recorded.hooks import hook
from eventlog.recorded.lists import RecordedList
from eventlog.recorded.paths import candidate_of, swapped
from eventlog.recorded.places import MISSING, Place, Registry, place_of
from eventlog.recorded.shapes import Shape, shape_of
from eventlog.recorded.watchable import classes_of
from eventlog.states import States
from eventlog.stores import Store
from schemas.domain import Kind

_SCALARS = frozenset((str, int, float, bool, bytes, type(None), Decimal, datetime, date))


class Collection(ABC):
    """The side of a recorded container that its user does not see.

    Every method is called while the change has the shim's locks. `store` is set by who makes it.
    """

    store: Store

    def __init__(  # noqa: PLR0917  (made in one place)
        self, ferry: States, kind: Kind, name: str, node: Any, elements: Elements, declared: Any
    ) -> None:
        self.ferry = ferry
        self.kind = kind
        self.name = name
        self.elements = elements
        self.registry = Registry()
        self.root = Place(self, None, node)
        self.copies = Copies()
        self.classes = frozenset(classes_of(declared, _name_of(declared)))
        self._declared = declared
        for cls in self.classes:
            hook(cls, self.registry)

    def fresh(self, node: Any) -> Self:
        """Return a collection of the same declared type, for a container that nobody records."""
        return type(self)(self.ferry, self.kind, self.name, node, self.elements, self._declared)

    # --- what a kind of container says of itself

    @abstractmethod
    def keys_of(self, value: Any) -> Sequence[Any]:
        """Return the keys under which an element is, or holds, a value."""

    @abstractmethod
    def at(self, key: Any) -> Any:
        """Return the element of a key."""

    @abstractmethod
    def put_raw(self, key: Any, element: Any) -> None:
        """Set an element without recording it."""

    # --- changes within an element

    def write(self, place: Place, shape: Shape, candidate: Any, changed: dict[str, Any]) -> None:
        """Record that attributes of an object become these; then let them."""
        value = place.value
        present = {name: getattr(value, name, MISSING) for name in changed}
        arrival = Arrival(place, present.values())
        for name, new in changed.items():
            if type(new) not in _SCALARS:
                arrival.check(new, f"{shape.cls.__name__}.{name}")

        def apply() -> None:
            for name, new in changed.items():
                if new is MISSING:
                    shape.drop_field(value, name)
                else:
                    shape.set_field(value, name, arrival.take(new))
            for old in present.values():
                release(old, place)

        self._record_within(place, candidate, apply)

    def overwrite(self, old: Any, new: Any) -> bool:
        """Give an element another's state, not recorded: who holds it still does.

        False where it is of a class that never changes.
        """
        shape, place = shape_of(type(new)), place_of(old)
        if shape is None or shape.frozen or type(old) is not type(new) or place is None:
            return False
        present = {name: getattr(old, name, MISSING) for name in shape.fields}
        arrival = Arrival(place, present.values())
        for name in shape.fields:
            shape.set_field(old, name, arrival.take(getattr(new, name)))
        for value in present.values():
            release(value, place)
        return True

    def splice(
        self, node: RecordedList, place: Place, start: int, stop: int, items: list[Any]
    ) -> None:
        """Record that a stretch of a list becomes these items; then let it."""
        old = node[start:stop]
        arrival = self.arrival(place, old, items)
        candidate = list(node)
        candidate[start:stop] = items

        def apply() -> None:
            list.__setitem__(node, slice(start, stop), [arrival.take(item) for item in items])
            for item in old:
                release(item, place)

        self._record_within(place, candidate, apply)

    def change(
        self, node: dict[Any, Any], place: Place, gone: Sequence[Any], new: dict[Any, Any]
    ) -> None:
        """Record that keys of a dict go and pairs come; then let them."""
        old = [node[key] for key in (*gone, *(key for key in new if key in node))]
        arrival = self.arrival(place, old, new.values())
        candidate = dict(node)
        for key in gone:
            del candidate[key]
        candidate.update(new)

        def apply() -> None:
            for key in gone:
                dict.__delitem__(node, key)
            for key, value in new.items():
                dict.__setitem__(node, key, arrival.take(value))
            for value in old:
                release(value, place)

        self._record_within(place, candidate, apply)

    def replace_set(self, node: Any, place: Place, values: set[Any]) -> None:
        """Record that a set holds these items; then let it."""
        self._record_within(place, values, lambda: node._become(values))

    def _record_within(self, place: Place, changed: Any, apply: Callable[[], None]) -> None:
        top, candidate = candidate_of(place, changed)
        stated, touched = [], []
        for key in self.keys_of(top.value):
            element = self.at(key)
            touched.append(element)
            stated.append(self.elements.entity(key, swapped(element, top.value, candidate)))
        self.commit([(entity, False) for entity in stated], touched, apply)

    # --- what all changes come to

    def arrival(self, place: Place, leaving: Iterable[Any], items: Iterable[Any]) -> Arrival:
        """Return items checked for a place, which others leave."""
        arrival = Arrival(place, leaving)
        for item in items:
            if type(item) not in _SCALARS:
                arrival.check(item, where_of(place))
        return arrival

    def commit(
        self,
        changes: Sequence[tuple[Any, bool]],
        touched: Iterable[Any],
        apply: Callable[[], None],
        lost: Callable[[], Iterable[Any]] = tuple,
    ) -> None:
        """Record entities, each with whether it ends, and change memory in the same step.

        `lost` returns what a full ring evicts for them.
        """

        def apply_seen() -> None:
            for element in touched:
                self.copies.save(element)
            apply()

        store = self.store
        stated = ((store, entity, ends) for entity, ends in changes)
        self.ferry.record_states(stated, apply_seen, lost=lost)

    def copy(self, pairs: Sequence[tuple[Any, Any]]) -> Copy:
        """Return the pairs of key and element as they are now, whatever happens to the elements."""
        lock = self.ferry.memory_lock
        return self.copies.add(Copy(pairs, self.elements.entity, lock))


def holds(element: Any, value: Any) -> bool:
    """Say whether an element is a value, or a tuple with it."""
    if element is value:
        return True
    return isinstance(element, tuple) and any(holds(item, value) for item in element)


def where_of(place: Place) -> str:
    """Name a container for people: by the field that has it, where one does."""
    holder = place.parent
    if holder is None:
        return str(place.collection.name)
    shape = shape_of(type(holder.value))
    for name in shape.nested if shape else ():
        if getattr(holder.value, name, None) is place.value:
            return f"{type(holder.value).__name__}.{name}[]"
    return f"{where_of(holder)}[]"


def _name_of(declared: Any) -> str:
    return getattr(declared, "__name__", str(declared))
