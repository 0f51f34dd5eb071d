"""The app's ring buffers, as the shim reads and changes them."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from itertools import pairwise
from typing import Any

from eventlog.stores import DictStore, Store, StoreRefused, require_entities, require_keys
from schemas.domain import Kind


class WindowCopy:
    """Rings as they were, each by the key it was filed under."""

    def __init__(
        self,
        kind: Kind,
        rings: list[tuple[Any, list[Any]]],
        ring_key: Callable[[Any], Any],
        unordered: frozenset[Any],
    ) -> None:
        self._kind = kind
        self._unordered = unordered
        self._rings = rings
        self._ring_key = ring_key

    def __call__(self) -> Iterator[Any]:
        """Return the entities, ring by ring."""
        return (entity for _, ring in self._rings for entity in ring)

    def misplaced(self) -> Iterator[str]:
        """Yield what is in a ring that is not its own, twice in one, or out of a ring's order."""
        name, cls, key_of = self._kind.name, self._kind.entity, self._kind.key_getter()
        for ring_key, ring in self._rings:
            seen = set()
            before = None
            for entity in ring:
                if type(entity) is not cls:
                    yield f"{name}: the ring {ring_key!r} holds a {type(entity).__name__}"
                    continue
                own = key_of(entity)
                if self._ring_key(own) != ring_key:
                    yield f"{name}: the ring {ring_key!r} holds the entity of {own!r}"
                if own in seen:
                    yield f"{name}: the ring {ring_key!r} holds {own!r} twice"
                seen.add(own)
                if before is not None and own < before and ring_key not in self._unordered:
                    yield f"{name}: the ring {ring_key!r} holds {own!r} behind {before!r}"
                before = own


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
            require_entities(kind, ring)
        require_keys(
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

    logged = get

    def is_late(self, key: Any) -> bool:
        """Say whether a ring holds later entities than a key's: its own may have been evicted."""
        ring = self._content.get(self._ring_key(key))
        return bool(ring) and not self._key(ring[-1]) < key  # type: ignore[index]

    def put(self, key: Hashable, entity: Any) -> Any:
        """Set an entity; None ends it. Return the one that the ring evicts for it, or None."""
        ring_key = self._ring_key(key)
        ring = self._content.get(ring_key)
        if ring is None:
            if entity is None:
                return None
            ring = self._new_ring(ring_key)
        if ring and (ring_key in self._unordered or not self._key(ring[-1]) < key):
            for place, present in enumerate(ring):
                if self._key(present) == key:
                    if entity is None:
                        del ring[place]
                    else:
                        ring[place] = entity
                    return None
            if entity is not None:
                self._unordered.add(ring_key)
        if entity is None:
            return None
        lost = None if len(ring) != ring.maxlen else ring[0] if ring else entity
        ring.append(entity)
        return lost

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

    def copy(self) -> WindowCopy:
        """Take a shallow copy now."""
        rings = [(key, list(ring)) for key, ring in self._content.items()]
        return WindowCopy(self.kind, rings, self._ring_key, frozenset(self._unordered))

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""
        ring_key = self._key_of_stream(stream)
        if ring_key is not None:
            self._content[ring_key].clear()

    def fresh(self) -> "WindowStore":
        """Return an empty store of the same kind and length, which the app does not see."""
        return WindowStore(self.kind, {}, self.window())

    def _stream_of(self, ring_key: Any) -> str:
        values = (ring_key,) if self._width == 1 else ring_key
        return f"{self.kind.name}/" + "/".join(map(str, values))

    def _key_of_stream(self, stream: str) -> Any:
        simple = stream.partition("/")[2]
        if self._width == 1 and simple in self._content:
            return simple
        return next((key for key in self._content if self._stream_of(key) == stream), None)


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
