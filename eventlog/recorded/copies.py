"""Copies of a whole collection that stay as they were while its elements change in place."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from eventlog.recorded.places import MISSING
from eventlog.recorded.plain import plain

CHUNK_ELEMENTS = 256
"""Elements read in one hold of the lock."""


class Copy:
    """The elements as they were: taken in no time, read piece by piece.

    What changes before it was read is copied by who changes it. Open as long as somebody has it.
    """

    __slots__ = ("__weakref__", "_elements", "_entity", "_lock", "before")

    def __init__(
        self,
        elements: Sequence[tuple[Any, Any]],
        entity: Callable[[Any, Any], Any],
        lock: AbstractContextManager[Any],
    ) -> None:
        self._elements = elements
        self._entity = entity
        self._lock = lock
        self.before: dict[int, Any] = {}

    def __call__(self) -> Iterator[Any]:
        """Yield the elements' entities, unwatched."""
        entity, before, elements = self._entity, self.before, self._elements
        for start in range(0, len(elements), CHUNK_ELEMENTS):
            with self._lock:
                chunk = [
                    entity(key, plain(e) if (was := before.get(id(e), MISSING)) is MISSING else was)
                    for key, e in elements[start : start + CHUNK_ELEMENTS]
                ]
            yield from chunk

    def misplaced(self) -> Iterator[str]:
        """Yield nothing: a recorded collection files nothing under a key that is not its own."""
        yield from ()


class Copies:
    """The open copies of one collection."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Copy] = weakref.WeakSet()

    def add(self, copy: Copy) -> Copy:
        """Keep a copy as it is from now on."""
        self._open.add(copy)
        return copy

    def save(self, element: Any) -> None:
        """Note that an element is about to change, or to be let go: open copies keep it so."""
        if not self._open:
            return
        identity = id(element)
        for copy in list(self._open):
            if identity not in copy.before:
                copy.before[identity] = plain(element)
