"""A recorded deque: one stream, a row for each item, by a running number.

What a full deque loses at its left is no event: it stays in the table, as history. What one loses
at its right ends, for its number is given again.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from eventlog.recorded.adoption import Arrival, release
from eventlog.recorded.collection import Collection, holds
from eventlog.recorded.places import MISSING, place_of


class DequeCollection(Collection):
    """One event for each item that comes, goes or has another number afterwards."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.node: Any = self.root.value
        self.first = 0
        """Number of the leftmost item, or of the next one while there is none."""

    # --- changes, recorded

    def extend(self, items: list[Any]) -> None:
        """Record and add items at the right."""
        node, last = self.node, self.first + len(self.node)
        lost = self._overflow(len(items))
        leaving = list(islice(node, lost))
        arrival = self.arrival(self.root, leaving, items)
        changes = [(self.elements.entity(at, item), False) for at, item in enumerate(items, last)]

        def apply() -> None:
            deque.extend(node, self._taken(arrival, items[max(0, lost - len(leaving)) :]))
            self._release(leaving)
            self.first += lost
            self._note(range(max(last, self.first), self.first + len(node)))

        first, entity = self.first, self.elements.entity

        def evicted() -> list[Any]:
            gone = [*leaving, *items[: lost - len(leaving)]]
            return [entity(at, item) for at, item in enumerate(gone, first)]

        self.commit(changes, leaving, apply, evicted if lost else list)

    def extend_left(self, items: list[Any]) -> None:
        """Record and add items at the left; what a full one loses at its right ends."""
        node, size = self.node, len(self.node)
        if node.maxlen is not None:
            reason = f"{self.name}: numbers of evicted items come again"
            self.ferry.digests.leave_out(self.kind, reason)
        limit = size + len(items) if node.maxlen is None else node.maxlen
        new = items[::-1][:limit]
        stay = min(size, limit - len(new))
        leaving = list(islice(node, stay, None)) if stay < size else []
        arrival = self.arrival(self.root, leaving, new)
        entity = self.elements.entity
        numbers = range(self.first - len(new), self.first)
        ends = range(size - 1, stay - 1, -1)
        changes = [(entity(self.first + at, node[at]), True) for at in ends]
        changes += [
            (entity(number, item), False)
            for number, item in reversed(list(zip(numbers, new, strict=True)))
        ]

        def apply() -> None:
            deque.extendleft(node, self._taken(arrival, new)[::-1])
            self._release(leaving)
            self.first -= len(new)
            self._note(numbers)

        self.commit(changes, leaving, apply)

    def pop(self) -> None:
        """Record and remove the rightmost item."""
        value = self.node[-1]
        changes = [(self.elements.entity(self.first + len(self.node) - 1, value), True)]

        def apply() -> None:
            deque.pop(self.node)
            self._release([value])

        self.commit(changes, [value], apply)

    def pop_left(self) -> None:
        """Record and remove the leftmost item."""
        value = self.node[0]

        def apply() -> None:
            deque.popleft(self.node)
            self._release([value])
            self.first += 1

        self.commit([(self.elements.entity(self.first, value), True)], [value], apply)

    def become(self, values: list[Any]) -> None:
        """Record and make these the items, from the first number on."""
        old = list(self.node)
        if len(old) == len(values) and all(map(_same, old, values)):
            return
        entity, first, both = self.elements.entity, self.first, min(len(old), len(values))
        changed = [at for at, value in enumerate(values) if at >= both or old[at] is not value]
        leaving = [old[at] for at in range(len(old)) if at >= both or old[at] is not values[at]]
        arrival = self.arrival(self.root, leaving, [values[at] for at in changed])
        changes = [(entity(first + at, values[at]), False) for at in changed]
        changes += [(entity(first + at, old[at]), True) for at in range(len(old) - 1, both - 1, -1)]

        def apply() -> None:
            for at in changed:
                if at < both:
                    deque.__setitem__(self.node, at, arrival.take(values[at]))
                else:
                    deque.append(self.node, arrival.take(values[at]))
            for _ in range(len(old) - len(values)):
                deque.pop(self.node)
            self._release(leaving)
            self._note(range(first, first + len(values)))

        self.commit(changes, leaving, apply)

    def _overflow(self, coming: int) -> int:
        limit = self.node.maxlen
        return 0 if limit is None else max(0, len(self.node) + coming - limit)

    def _taken(self, arrival: Arrival, items: list[Any]) -> list[Any]:
        return [arrival.take(item) for item in items]

    def _release(self, elements: list[Any]) -> None:
        for element in elements:
            release(element, self.root)

    def _note(self, numbers: range) -> None:
        for number in numbers:
            place = place_of(self.node[number - self.first])
            if place is not None:
                place.hint = number

    # --- changes, not recorded: what is read back

    def put_raw(self, key: Any, element: Any) -> None:
        """Set an item by its number, or with MISSING end it, as the events or the table have it."""
        node, last = self.node, self.first + len(self.node) - 1
        if element is MISSING:
            if node and key == self.first:
                self._drop_raw(deque.popleft)
                self.first += 1
            elif node and key == last:
                self._drop_raw(deque.pop)
        elif self.first <= key <= last:
            self._swap_raw(key - self.first, element)
        elif node and key == self.first - 1:
            self._add_raw(element, [node[-1]] if self._overflow(1) else [], deque.appendleft)
            self.first -= 1
        elif key > last or not node:
            if not node or key > last + 1:
                self.clear_raw()
                self.first = key
            lost = self._overflow(1)
            self._add_raw(element, list(islice(node, lost)), deque.append)
            self.first += lost

    def _drop_raw(self, pop: Any) -> None:
        self.copies.save(self.node[0 if pop is deque.popleft else -1])
        self._release([pop(self.node)])

    def _add_raw(self, element: Any, leaving: list[Any], add: Any) -> None:
        for one in leaving:
            self.copies.save(one)
        add(self.node, self.arrival(self.root, leaving, (element,)).take(element))
        self._release(leaving)

    def _swap_raw(self, at: int, element: Any) -> None:
        old = self.node[at]
        self.copies.save(old)
        taken = self.arrival(self.root, (old,), (element,)).take(element)
        deque.__setitem__(self.node, at, taken)
        self._release([old])

    def clear_raw(self) -> None:
        """Remove everything without recording it."""
        while self.node:
            self._drop_raw(deque.pop)
        self.first = 0

    # --- where elements are

    def keys_of(self, value: Any) -> Sequence[Any]:
        """Return the numbers under which an element is, or holds, a value."""
        place = place_of(value)
        if place is not None and place.count == 1 and place.hint is not None:
            at = place.hint - self.first
            if 0 <= at < len(self.node) and self.node[at] is value:
                return (place.hint,)
        return [n for n, element in enumerate(self.node, self.first) if holds(element, value)]

    def at(self, key: Any) -> Any:
        """Return the item of a number."""
        return self.node[key - self.first]


def _same(one: Any, other: Any) -> bool:
    return one is other
