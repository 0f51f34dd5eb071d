"""One change at a time: the locks, the fence, and the refusal of changes within changes."""

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from eventlog.entry import MemorySetBack, MutationNested
from eventlog.recorded.places import Place, place_of

Apply = Callable[[], None]


class _Reading(threading.local):
    """The containers for which the running thread reads an iterable argument."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []


_reading = _Reading()
_PLAIN = (list, tuple, dict, set, frozenset)


def items_of(node: Any, values: Iterable[Any]) -> list[Any]:
    """Return an argument's items, read before anything is locked or changed."""
    if isinstance(values, _PLAIN):
        return list(values)
    _reading.nodes.append(node)
    try:
        return list(values)
    finally:
        _reading.nodes.pop()


class Reading:
    """While entered, the running thread reads arguments for a change of `node`."""

    __slots__ = ("_node",)

    def __init__(self, node: Any) -> None:
        self._node = node

    def __enter__(self) -> None:
        _reading.nodes.append(self._node)

    def __exit__(self, *_: object) -> None:
        _reading.nodes.pop()


class Changing:
    """Entered for one change of a value: gives its place once the change may be recorded.

    The place is None where no collection owns the value: it is changed like any other.
    """

    __slots__ = ("_ferry", "_node")

    def __init__(self, node: Any) -> None:
        self._node = node
        self._ferry: Any = None

    def __enter__(self) -> Place | None:
        node = self._node
        if _reading.nodes and any(node is one for one in _reading.nodes):
            raise _nested(node)
        while (place := place_of(node)) is not None:
            collection = place.collection
            ferry = collection.ferry
            set_back = ferry.rollbacks.count
            try:
                ferry.begin_change()
            except MutationNested:
                raise _nested(node) from None
            # While this thread waited another may have removed or moved it.
            found = place_of(node)
            if found is not None and found.collection is collection:
                ferry.calling_out = True  # sort keys, comparisons, hashes: they only read
                self._ferry = ferry
                return found
            ferry.end_change()
            if found is None and ferry.rollbacks.count != set_back:
                raise MemorySetBack(
                    f"a rollback took this {type(node).__name__} away while its change waited",
                    where=collection.name,
                    remedy="look it up again: another may stand in its place now",
                )
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ferry = self._ferry
        if ferry is not None:
            ferry.calling_out = False
            ferry.end_change()


def _nested(node: Any) -> MutationNested:
    return MutationNested(
        f"a {type(node).__name__} is changed by code that a change calls",
        remedy="let sort keys, comparisons, hashes and iterators only read; change it afterwards",
    )
