"""The app's containers by kind: registered once, described when asked, and what the log knows."""

import os
import threading
from collections.abc import Iterable
from typing import Any

from eventlog.entry import Entry
from eventlog.extraction.memory import estimate_bytes
from eventlog.extraction.walk import MANY, OBJECTS_MAX
from eventlog.extraction.watch import AppWatch
from eventlog.stores import Store, StoreRefused
from eventlog.window_store import store_for
from schemas.domain import Domain, Kind
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
        self._watch = AppWatch()

    def add_kind(self, kind: Kind) -> None:
        """Take a kind into the domain while the app runs; raises DomainInvalid."""
        with self.memory_lock:
            self.domain = self.domain.with_kinds([kind])
            for name, event in kind.events.items():
                self._entries[event] = Entry(self.source, kind, event, name)

    def add_store(self, kind_name: str, content: Any) -> Store:
        """Take a container under the shim's care; raises StoreRefused."""
        store = self.keep(store_for(self.domain.kind(kind_name), content))
        self._watch.map(content, kind_name)
        return store

    def watch_app(
        self, app: object, name: str = "app", *, many: int = MANY, objects_max: int = OBJECTS_MAX
    ) -> None:
        """Have no migration of this app begin while a container of data in it is not registered.

        The object, and all that can be reached from it, is walked when a migration asks: containers
        of entities, and those of `many` plain values or more, must be registered or excluded. A
        walk looks at `objects_max` objects; one that must end there closes the gate, too.
        """
        self._watch.watch(app, name, many, objects_max)

    def exclude(self, path: str, *, reason: str) -> None:
        """Leave a container of a watched app, and all below it, out of the log.

        `path` is as the migration and `memferry extract` name it: `app.engine.cache`.
        Raises: ExclusionRefused without a path or a reason.
        """
        self._watch.exclude(path, reason)

    def keep(self, store: Store) -> Store:
        """Take a store under the shim's care; raises StoreRefused."""
        kind = store.kind
        with self.memory_lock:
            if kind.name in self._stores:
                raise StoreRefused(
                    f"kind {kind.name!r} has a store already",
                    remedy="register each kind once; merge the containers first",
                )
            self._stores[kind.name] = store
            for event in kind.events.values():
                self._entries[event].store = store
            if not store.streams():
                self.mark_whole(kind.name)
        return store

    def stores(self) -> dict[str, Store]:
        """Return the registered stores by kind."""
        return dict(self._stores)

    def mark_known(self, streams: Iterable[str]) -> None:
        """Note streams whose state is in the log already: they need no first snapshot."""
        self._known.update(streams)

    def set_known(self, stream: str, *, known: bool) -> None:
        """Note whether the log holds the stream's state, now that memory was set."""
        if known:
            self._known.add(stream)
        else:
            self._known.discard(stream)

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

    def unrecorded_streams(self) -> frozenset[str]:
        """Return the streams that wait for the first snapshot; none once it is done."""
        waiting = [store for name, store in self._stores.items() if name not in self._whole]
        return frozenset(
            stream for store in waiting for stream in store.streams() if stream not in self._known
        )

    def describe(self) -> CatalogAnswer:
        """Return every store with its counts, as it is now."""
        # Watched containers are asked for each time: their apps may replace them.
        own = {name: getattr(store, "content", None) for name, store in self.stores().items()}
        walked = self._watch.look({name: c() for name, c in own.items() if callable(c)})
        described = []
        for name, store in self.stores().items():
            with self.memory_lock:  # one store at a time: a pause of its own size
                streams, copy = store.streams(), store.copy()
            entities = sum(1 for _ in copy())
            described.append(
                StoreDescription(
                    name,
                    store.kind.entity.__name__,
                    store.container,
                    len(streams),
                    entities,
                    0
                    if name in self._whole
                    else sum(not self.is_known(stream) for stream in streams),
                    any(table.windowed for table in store.kind.tables),
                    walked.paths.get(name, name),
                    estimate_bytes(copy(), entities),
                )
            )
        unregistered = [k.name for k in self.domain.kinds if k.name not in self._stores]
        return CatalogAnswer(self.source, os.getpid(), described, unregistered, walked)
