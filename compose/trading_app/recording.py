"""The one way to change the app's memory: events, applied here or, once attached, by the shim.

The one way to read it, too: before it is attached, by the same stores and readers.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from eventlog import Ferry, Receipt
from eventlog.reads.memory import Memory
from eventlog.reads.reader import Reader
from eventlog.window_store import store_for
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
        self._lock = threading.Lock()
        self._own = {name: store_for(DOMAIN.kind(name), stores[name]) for name in stores}
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

    async def until_open(self) -> None:
        """Return once no fence holds mutations: await it in asyncio, then record.

        A fence that closes between the two still blocks the loop, to its lease's end at most.
        """
        if self.ferry is not None:
            await self.ferry.until_open()

    def reader(self, kind: str) -> Reader:
        """Return what a kind is read with: the shim's reader, or one of the app's memory alone."""
        if self.ferry is not None:
            return self.ferry.reader(kind)
        return Reader(Memory(DOMAIN.kind(kind), lambda: self._own[kind], self._lock))

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
        store = self._own[kind.name]
        key = self._keys[kind.name](event)
        with self._lock:
            store.put(key, kind.evolve(store.get(key), event))
