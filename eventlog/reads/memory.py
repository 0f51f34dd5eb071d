"""Reads from the app's own memory, in the order and with the answers that the tables give."""

import heapq
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from eventlog.reads.question import Question
from eventlog.stores import Store
from schemas.domain import Kind


class Memory:
    """One kind's entities in its store, read under the lock that guards it.

    The lock is held for a look-up or a shallow copy, not while entities are looked through. Where
    entities may change in place, the answers are copies: what was read stays as it was read.
    """

    def __init__(
        self, kind: Kind, store: Callable[[], Store], lock: AbstractContextManager[Any]
    ) -> None:
        self.kind = kind
        self._store = store
        self._lock = lock
        self._key = kind.key_getter()
        self._mutable = kind.description is not None

    def get(self, key: Any) -> Any:
        """Return the entity, or None."""
        with self._lock:
            return self._kept(self._store().get(key))

    def _kept(self, entity: Any) -> Any:
        if entity is None or not self._mutable:
            return entity
        return self.kind.evolve(None, self.kind.snapshot(entity))

    def count(self) -> int:
        """Return how many entities are in memory."""
        return sum(1 for _ in self._all())

    def keys(self) -> list[Any]:
        """Return the keys of all entities in memory, in their order."""
        return sorted(map(self._key, self._all()))

    def entities(self, question: Question) -> list[Any]:
        """Return the entities that a question asks for, in the order of their keys."""
        found = self._found(question)
        if not self._mutable:
            return found
        with self._lock:
            return [self._kept(entity) for entity in found]

    def _found(self, question: Question) -> list[Any]:
        found = self._candidates(question)
        if question.equal:
            wanted = list(question.equal.items())
            found = (e for e in found if all(getattr(e, name) == v for name, v in wanted))
        key_of = self._key
        if question.behind is not None:
            behind = question.behind if len(self.kind.key) > 1 else question.behind[0]
            found = (e for e in found if key_of(e) > behind)
        if question.limit is None:
            return sorted(found, key=key_of)
        if question.newest:
            return heapq.nlargest(question.limit, found, key=key_of)[::-1]
        return heapq.nsmallest(question.limit, found, key=key_of)

    def _candidates(self, question: Question) -> Iterable[Any]:
        """Return all entities among which the answer is, as few as can be had without a search."""
        equal, kind = question.equal, self.kind
        if equal.keys() >= set(kind.key):
            values = tuple(equal[name] for name in kind.key)
            entity = self.get(values if len(values) > 1 else values[0])
            return () if entity is None else (entity,)
        if equal.keys() >= set(kind.stream):
            values = tuple(equal[name] for name in kind.stream)
            with self._lock:
                return self._store().of_stream(f"{kind.name}/" + "/".join(map(str, values)))
        return self._all()

    def _all(self) -> Iterable[Any]:
        with self._lock:
            copy = self._store().copy()
        return copy()
