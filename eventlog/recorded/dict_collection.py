"""A recorded dict: key → entity, or key → any declared value."""

from collections.abc import Sequence
from typing import Any

from eventlog.recorded.adoption import release
from eventlog.recorded.collection import Collection, holds
from eventlog.recorded.places import MISSING, Place, place_of


class DictCollection(Collection):
    """One event for each key that is set or deleted; several in one call are one unit."""

    def change(
        self, node: dict[Any, Any], place: Place, gone: Sequence[Any], new: dict[Any, Any]
    ) -> None:
        """Record that keys go and pairs come; then let them."""
        if place is not self.root:
            super().change(node, place, gone, new)
            return
        old = [node[key] for key in (*gone, *(key for key in new if key in node))]
        arrival = self.arrival(place, old, new.values())
        entity = self.elements.entity
        changes = [(entity(key, node[key]), True) for key in gone]
        changes += [(entity(key, value), False) for key, value in new.items()]

        def apply() -> None:
            for key in gone:
                dict.__delitem__(node, key)
            for key, value in new.items():
                self._set(key, arrival.take(value))
            for value in old:
                release(value, place)

        self.commit(changes, old, apply)

    def _set(self, key: Any, element: Any) -> None:
        dict.__setitem__(self.root.value, key, element)
        place = place_of(element)
        if place is not None:
            place.hint = key

    def put_raw(self, key: Any, element: Any) -> None:
        """Set an element, or with MISSING remove it, without recording it."""
        node = self.root.value
        old = node.get(key, MISSING)
        if old is not MISSING:
            self.copies.save(old)
        if self.overwrite(old, element):
            return
        if element is not MISSING:
            arrival = self.arrival(self.root, (old,), (element,))
            self._set(key, arrival.take(element))
        elif old is not MISSING:
            dict.__delitem__(node, key)
        release(old, self.root)

    def keys_of(self, value: Any) -> Sequence[Any]:
        """Return the keys under which an element is, or holds, a value."""
        node = self.root.value
        place = place_of(value)
        if place is not None and place.count == 1 and node.get(place.hint, MISSING) is value:
            return (place.hint,)
        return [key for key, element in node.items() if holds(element, value)]

    def at(self, key: Any) -> Any:
        """Return the element of a key."""
        return self.root.value[key]
