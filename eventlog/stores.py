"""The app's own containers, as the shim reads and changes them.

Entities are frozen and replaced, so a shallow copy taken under the shim's lock is a consistent
snapshot of a store.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping
from itertools import pairwise
from typing import Any, Protocol

from schemas.domain import Kind
from schemas.errors import FerryError


class StoreRefused(FerryError):
    """A container cannot be registered: wrong type, registered twice, or holding foreign values."""


class Store(Protocol):
    """One registered container. Every method is called under the shim's lock."""

    kind: Kind
    container: str
    """The container's own type, for people."""

    def get(self, key: Hashable) -> Any:
        """Return the entity, or None."""

    def put(self, key: Hashable, entity: Any) -> None:
        """Set an entity; None ends it."""

    def streams(self) -> list[str]:
        """Return the names of all streams that have an entity here."""

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entities of one stream, oldest first."""

    def copy(self) -> Callable[[], Iterator[Any]]:
        """Take a shallow copy now; the returned function iterates over its entities, any time."""

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""


class DictStore:
    """A dict: key → entity; one entity a stream."""

    def __init__(self, kind: Kind, content: MutableMapping[Any, Any]) -> None:
        self.kind = kind
        self.container = type(content).__name__
        self._content = content
        self._stream = kind.stream_getter()
        if len(kind.key) != len(kind.stream):
            raise StoreRefused(
                f"kind {kind.name!r} keeps several entities a stream, a plain dict keeps one",
                remedy="register a dict of deques: stream → deque of entities",
            )
        _require_entities(kind, content.values())
        key_of = kind.key_getter()
        _require_keys(kind, ((key, key_of(entity)) for key, entity in content.items()))
        self._prefix = f"{kind.name}/"
        # A key that is text is the end of its stream's name; others are looked up.
        self._by_stream: dict[str, Any] | None = None
        if not all(type(key) is str for key in content):
            self._index()

    def get(self, key: Hashable) -> Any:
        """Return the entity, or None."""
        return self._content.get(key)

    def put(self, key: Hashable, entity: Any) -> None:
        """Set an entity; None ends it."""
        if entity is None:
            ended = self._content.pop(key, None)
            if ended is not None and self._by_stream is not None:
                self._by_stream.pop(self._stream(ended), None)
            return
        self._content[key] = entity
        if self._by_stream is not None:
            self._by_stream[self._stream(entity)] = key
        elif type(key) is not str:
            self._index()

    def _index(self) -> None:
        self._by_stream = {self._stream(entity): key for key, entity in self._content.items()}

    def _key_of(self, stream: str) -> Any:
        if self._by_stream is not None:
            return self._by_stream.get(stream)
        return stream.removeprefix(self._prefix)

    def streams(self) -> list[str]:
        """Return the names of all streams that have an entity here."""
        if self._by_stream is not None:
            return list(self._by_stream)
        return [self._prefix + key for key in self._content]

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entities of one stream, oldest first."""
        entity = self._content.get(self._key_of(stream))
        return [] if entity is None else [entity]

    def copy(self) -> Callable[[], Iterator[Any]]:
        """Take a shallow copy now; the returned function iterates over its entities, any time."""
        entities = list(self._content.values())
        return lambda: iter(entities)

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""
        self.put(self._key_of(stream), None)


class WindowStore:
    """A dict of deques: the stream's key → its newest entities, the oldest evicted by `maxlen`.

    Eviction is the deque's own and no event: it is not deletion from history.
    """

    def __init__(
        self, kind: Kind, content: MutableMapping[Any, deque[Any]], maxlen: int | None
    ) -> None:
        self.kind = kind
        self.container = f"{type(content).__name__} of deque"
        self._content = content
        self._maxlen = maxlen
        self._key = kind.key_getter()
        self._width = len(kind.stream)
        if len(kind.key) == len(kind.stream):
            raise StoreRefused(
                f"kind {kind.name!r} keeps one entity a stream, a dict of deques keeps several",
                remedy="register a plain dict: key → entity",
            )
        for ring in content.values():
            if not isinstance(ring, deque):
                raise StoreRefused(
                    f"kind {kind.name!r}: {type(ring).__name__} is not a deque",
                    remedy="register a dict of collections.deque(maxlen=N)",
                )
            _require_entities(kind, ring)
        _require_keys(
            kind,
            ((k, self._ring_key(self._key(e))) for k, ring in content.items() for e in ring),
        )
        # Rings whose entities did not come in the order of their keys: these are searched whole.
        self._unordered = {
            ring_key
            for ring_key, ring in content.items()
            if any(not self._key(a) < self._key(b) for a, b in pairwise(ring))
        }

    def window(self) -> int | None:
        """Return how many entities a new ring keeps; None where that has no bound."""
        make = getattr(self._content, "default_factory", None)
        ring = make() if make is not None else None
        return ring.maxlen if isinstance(ring, deque) else self._maxlen

    def _ring_key(self, key: Any) -> Any:
        return key[0] if self._width == 1 else key[: self._width]

    def get(self, key: Hashable) -> Any:
        """Return the entity, or None once it is evicted; the newest is found first."""
        ring_key = self._ring_key(key)
        ring = self._content.get(ring_key)
        if ring:
            key_of = self._key
            newest = ring[-1]
            if key_of(newest) == key:
                return newest
            if key_of(newest) < key and ring_key not in self._unordered:
                return None  # the common case: a later entity than all there are
            return next((entity for entity in reversed(ring) if key_of(entity) == key), None)
        return None

    def put(self, key: Hashable, entity: Any) -> None:
        """Set an entity; None ends it."""
        ring_key = self._ring_key(key)
        ring = self._content.get(ring_key)
        if ring is None:
            if entity is None:
                return
            ring = self._new_ring(ring_key)
        if ring and (ring_key in self._unordered or not self._key(ring[-1]) < key):
            for place, present in enumerate(ring):
                if self._key(present) == key:
                    if entity is None:
                        del ring[place]
                    else:
                        ring[place] = entity
                    return
            if entity is not None:
                self._unordered.add(ring_key)
        if entity is not None:
            ring.append(entity)

    def _new_ring(self, ring_key: Any) -> deque[Any]:
        try:
            return self._content[ring_key]  # a defaultdict knows its rings' length
        except KeyError:
            ring: deque[Any] = deque(maxlen=self._maxlen)
            self._content[ring_key] = ring
            return ring

    def streams(self) -> list[str]:
        """Return the names of all streams that have an entity here."""
        return [self._stream_of(key) for key, ring in self._content.items() if ring]

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entities of one stream, oldest first."""
        ring_key = self._key_of_stream(stream)
        return [] if ring_key is None else list(self._content[ring_key])

    def copy(self) -> Callable[[], Iterator[Any]]:
        """Take a shallow copy now; the returned function iterates over its entities, any time."""
        rings = [list(ring) for ring in self._content.values()]
        return lambda: (entity for ring in rings for entity in ring)

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""
        ring_key = self._key_of_stream(stream)
        if ring_key is not None:
            self._content[ring_key].clear()

    def _stream_of(self, ring_key: Any) -> str:
        values = (ring_key,) if self._width == 1 else ring_key
        return f"{self.kind.name}/" + "/".join(map(str, values))

    def _key_of_stream(self, stream: str) -> Any:
        simple = stream.partition("/")[2]
        if self._width == 1 and simple in self._content:
            return simple
        return next((key for key in self._content if self._stream_of(key) == stream), None)


class FactStore:
    """Of a kind that memory keeps nothing of: what is recorded is in the log and the table."""

    container = "no container"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def get(self, key: Hashable) -> Any:
        """Return None: a fact is new."""

    def put(self, key: Hashable, entity: Any) -> None:
        """Keep nothing."""

    def streams(self) -> list[str]:
        """Return no names."""
        return []

    def of_stream(self, stream: str) -> list[Any]:
        """Return no facts."""
        return []

    def copy(self) -> Callable[[], Iterator[Any]]:
        """Return an iterator over nothing."""
        return lambda: iter(())

    def forget(self, stream: str) -> None:
        """There is nothing to remove."""


def _require_entities(kind: Kind, values: Any) -> None:
    for value in values:
        if type(value) is not kind.entity:
            raise StoreRefused(
                f"kind {kind.name!r} holds {kind.entity.__name__}, found {type(value).__name__}: "
                f"{value!r:.80}",
                remedy="register each container under the kind of what it holds",
            )


def _require_keys(kind: Kind, pairs: Iterable[tuple[Any, Any]]) -> None:
    for key, own in pairs:
        if key != own:
            raise StoreRefused(
                f"kind {kind.name!r}: {key!r} holds the entity of {own!r}",
                remedy=f"file each entity under its own {', '.join(kind.key)}",
            )


def store_for(kind: Kind, content: Any) -> Store:
    """Return the store for a container of a kind; raises StoreRefused."""
    if not isinstance(content, MutableMapping):
        raise StoreRefused(
            f"a {type(content).__name__} cannot be registered for kind {kind.name!r}",
            remedy="register a dict: key → entity, or stream key → deque of entities",
        )
    if len(kind.key) == len(kind.stream):
        return DictStore(kind, content)
    lengths = {ring.maxlen for ring in content.values() if isinstance(ring, deque)}
    if len(lengths) > 1:
        raise StoreRefused(
            f"kind {kind.name!r}: its deques have different lengths {sorted(map(str, lengths))}",
            remedy="give all rings of one store the same maxlen",
        )
    return WindowStore(kind, content, lengths.pop() if lengths else None)
