"""The one way to change the app's memory: events, applied here or, once attached, by the shim."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from eventlog import Ferry, Receipt
from schemas.domain import Kind
from schemas.trading import DOMAIN


class Recorded(NamedTuple):
    """An event that has changed memory, and the shim's promise about it."""

    event: msgspec.Struct
    receipt: Receipt


class Recording:
    """Changes the app's containers: `stores` has one for each kind.

    Followers are told of each event after memory has changed.
    """

    def __init__(self, stores: Mapping[str, Any]) -> None:
        self.stores = stores
        self.events = 0
        """Recorded by this process, before and after attaching."""
        self.ferry: Ferry | None = None
        self._keys = {kind.name: kind.key_getter() for kind in DOMAIN.kinds}
        self._followers: dict[type[msgspec.Struct], list[Callable[[Any], None]]] = {}
        self._unacknowledged: list[Recorded] = []

    def tell(self, events: Iterable[type[msgspec.Struct]], follower: Callable[[Any], None]) -> None:
        """Have `follower` called after each event of these types."""
        for event in events:
            self._followers.setdefault(event, []).append(follower)

    def attach(self, ferry: Ferry) -> None:
        """Put all containers under the shim's care; every later event goes through it."""
        for kind, store in self.stores.items():
            ferry.register(kind, store)
        self.ferry = ferry

    def record(self, events: Sequence[msgspec.Struct]) -> None:
        """Change memory by events, several as one unit.

        Raises: TransitionRefused, and once attached all that the shim raises.
        """
        if self.ferry is None:
            for event in events:
                self._apply(DOMAIN.kind_of[type(event)], event)
        else:
            receipts = (
                [self.ferry.record(events[0])]
                if len(events) == 1
                else self.ferry.record_all(events)
            )
            self._unacknowledged.extend(map(Recorded, events, receipts))
        self.events += len(events)
        for event in events:
            for follower in self._followers.get(type(event), ()):
                follower(event)

    def take_recorded(self) -> list[Recorded]:
        """Return what was recorded through the shim since the last call."""
        taken, self._unacknowledged = self._unacknowledged, []
        return taken

    def entities(self, kind: str) -> list[Any]:
        """Return all entities of a kind, those of a stream oldest first."""
        values = self.stores[kind].values()
        if len(DOMAIN.kind(kind).key) == 1:
            return list(values)
        return [entity for ring in values for entity in ring]

    def count(self, kind: str) -> int:
        """Return how many entities of a kind are in memory."""
        store = self.stores[kind]
        return len(store) if len(DOMAIN.kind(kind).key) == 1 else sum(map(len, store.values()))

    def _apply(self, kind: Kind, event: msgspec.Struct) -> None:
        store = self.stores[kind.name]
        key = self._keys[kind.name](event)
        if len(kind.key) > 1:
            ring = store[key[0]]
            ring.append(kind.evolve(self._in_ring(kind, ring, key), event))
            return
        entity = kind.evolve(store.get(key), event)
        if entity is None:
            del store[key]
        else:
            store[key] = entity

    def _in_ring(self, kind: Kind, ring: deque[Any], key: Any) -> Any:
        key_of = self._keys[kind.name]
        if not ring or key_of(ring[-1]) < key:
            return None
        return next((entity for entity in ring if key_of(entity) == key), None)
