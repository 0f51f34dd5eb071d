"""A recorded list: one stream, a row for each place."""

from collections.abc import Sequence
from typing import Any

from eventlog.recorded.adoption import release
from eventlog.recorded.collection import Collection, holds
from eventlog.recorded.lists import RecordedList
from eventlog.recorded.places import MISSING, Place, place_of


class ListCollection(Collection):
    """One event for each place whose element is another one afterwards, the rest as one unit."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._ahead: dict[int, Any] = {}

    def splice(
        self, node: RecordedList, place: Place, start: int, stop: int, items: list[Any]
    ) -> None:
        """Record that a stretch becomes these items and what is behind it moves; then let it."""
        if place is not self.root:
            super().splice(node, place, start, stop, items)
            return
        size, old = len(node), node[start:stop]
        arrival = self.arrival(place, old, items)
        entity = self.elements.entity
        moved = items if len(items) == stop - start else [*items, *node[stop:]]
        changes = [
            (entity(at, element), False)
            for at, element in enumerate(moved, start)
            if at >= size or node[at] is not element
        ]
        # The end goes last place first: what is folded from the log never has a hole.
        after = size - (stop - start) + len(items)
        changes += [(entity(at, node[at]), True) for at in range(size - 1, after - 1, -1)]

        def apply() -> None:
            kept = [arrival.take(item) for item in items]
            list.__setitem__(node, slice(start, stop), kept)
            self._note(start, kept)
            for item in old:
                release(item, place)

        if changes:
            self.commit(changes, old, apply)
        else:
            apply()

    def _note(self, start: int, elements: Sequence[Any]) -> None:
        for at, element in enumerate(elements, start):
            place = place_of(element)
            if place is not None:
                place.hint = at

    def put_raw(self, key: Any, element: Any) -> None:
        """Set a place, or with MISSING end the list before it, without recording it.

        A place beyond the end waits until those before it are there.
        """
        node = self.root.value
        if element is MISSING:
            self._ahead.pop(key, None)
            if key < len(node):
                self._ahead.update(enumerate(node[key + 1 :], key + 1))
                self._replace(key, len(node), [])
        elif key < len(node):
            self._replace(key, key + 1, [element])
        else:
            self._ahead[key] = element
            while len(node) in self._ahead:
                self._replace(len(node), len(node), [self._ahead.pop(len(node))])

    def _replace(self, start: int, stop: int, items: list[Any]) -> None:
        node = self.root.value
        old = node[start:stop]
        for element in old:
            self.copies.save(element)
        arrival = self.arrival(self.root, old, items)
        kept = [arrival.take(item) for item in items]
        list.__setitem__(node, slice(start, stop), kept)
        self._note(start, kept)
        for element in old:
            release(element, self.root)

    def clear_raw(self) -> None:
        """Remove everything without recording it."""
        self._ahead.clear()
        self._replace(0, len(self.root.value), [])

    def keys_of(self, value: Any) -> Sequence[Any]:
        """Return the places at which an element is, or holds, a value."""
        node = self.root.value
        place = place_of(value)
        if place is not None and place.count == 1:
            hint = place.hint
            if hint is not None and hint < len(node) and node[hint] is value:
                return (hint,)
            for at, element in enumerate(node):
                if holds(element, value):
                    place.hint = at
                    return (at,)
        return [at for at, element in enumerate(node) if holds(element, value)]

    def at(self, key: Any) -> Any:
        """Return the element at a place."""
        return self.root.value[key]
