"""The app's containers by kind: registered once, described when asked, and what the log knows."""

import os
import threading
from collections.abc import Iterable
from typing import Any

from eventlog.entry import Entry
from eventlog.stores import Store, StoreRefused, store_for
from schemas.domain import Domain
from schemas.requests import CatalogAnswer, StoreDescription


class Catalog:
    """The stores of one app, and the streams whose state is in the log already."""

    def __init__(self, source: str, domain: Domain) -> None:
        self.source = source
        self.domain = domain
        self.memory_lock = threading.RLock()
        """Guards stores, queue and fence; held for a step, never while something waits."""
        self._entries = {
            event: Entry(source, domain.kind_of[event], event, name)
            for event, name in domain.type_of.items()
        }
        self._stores: dict[str, Store] = {}
        self._known: set[str] = set()  # streams
        self._whole: set[str] = set()  # kinds of which every stream is known

    def add_store(self, kind_name: str, content: Any) -> Store:
        """Take a container under the shim's care; raises StoreRefused."""
        kind = self.domain.kind(kind_name)
        with self.memory_lock:
            if kind_name in self._stores:
                raise StoreRefused(
                    f"kind {kind_name!r} has a store already",
                    remedy="register each kind once; merge the containers first",
                )
            store = store_for(kind, content)
            self._stores[kind_name] = store
            for event in kind.events.values():
                self._entries[event].store = store
            if not store.streams():
                self.mark_whole(kind_name)
        return store

    def stores(self) -> dict[str, Store]:
        """Return the registered stores by kind."""
        return dict(self._stores)

    def mark_known(self, streams: Iterable[str]) -> None:
        """Note streams whose state is in the log already: they need no first snapshot."""
        self._known.update(streams)

    def mark_whole(self, kind_name: str) -> None:
        """Note that the log holds every stream of a kind: none needs a first snapshot any more."""
        with self.memory_lock:
            for event in self._stores[kind_name].kind.events.values():
                self._entries[event].whole = True
            self._whole.add(kind_name)
            prefix = f"{kind_name}/"
            self._known = {stream for stream in self._known if not stream.startswith(prefix)}

    def is_known(self, stream: str) -> bool:
        """Say whether the log holds the stream's state."""
        return stream in self._known or stream.partition("/")[0] in self._whole

    def describe(self) -> CatalogAnswer:
        """Return every store with its counts, as it is now."""
        described = []
        for name, store in self.stores().items():
            with self.memory_lock:  # one store at a time: a pause of its own size
                streams, copy = store.streams(), store.copy()
            described.append(
                StoreDescription(
                    name,
                    store.kind.entity.__name__,
                    store.container,
                    len(streams),
                    sum(1 for _ in copy()),
                    0
                    if name in self._whole
                    else sum(not self.is_known(stream) for stream in streams),
                    any(table.windowed for table in store.kind.tables),
                )
            )
        unregistered = [k.name for k in self.domain.kinds if k.name not in self._stores]
        return CatalogAnswer(self.source, os.getpid(), described, unregistered)
