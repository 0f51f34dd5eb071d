"""The app's own containers, as the shim reads and changes them.

Entities are frozen and replaced, so a shallow copy taken under the shim's lock is a consistent
snapshot of a store.
"""

from collections.abc import Hashable, Iterable, Iterator, MutableMapping
from typing import Any, Protocol

from schemas.domain import Kind
from schemas.errors import FerryError


class StoreRefused(FerryError):
    """A container cannot be registered: wrong type, registered twice, or holding foreign values."""


class StoreCopy(Protocol):
    """What a container held at one moment; read any time, without the shim's lock."""

    def __call__(self) -> Iterator[Any]:
        """Return the entities."""

    def misplaced(self) -> Iterator[str]:
        """Yield what is under a key that is not its own, or there twice, and where."""


class Store(Protocol):
    """One registered container. Every method is called under the shim's lock."""

    kind: Kind
    container: str
    """The container's own type, for people."""

    def get(self, key: Hashable) -> Any:
        """Return the entity, or None."""

    def logged(self, key: Hashable) -> Any:
        """Return the entity as it was recorded last, or None; in most containers it is `get`'s."""

    def put(self, key: Hashable, entity: Any) -> Any:
        """Set an entity; None ends it. Return the entity that a full ring lost by it, or None."""

    def streams(self) -> list[str]:
        """Return the names of all streams that have an entity here."""

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entities of one stream, oldest first."""

    def copy(self) -> StoreCopy:
        """Take a shallow copy now."""

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""

    def fresh(self) -> "Store":
        """Return an empty store of the same kind and size, which the app does not see."""


class DictCopy:
    """A dict as it was: entities by the keys they were filed under."""

    def __init__(self, kind: Kind, content: dict[Any, Any]) -> None:
        self._kind = kind
        self._content = content

    def __call__(self) -> Iterator[Any]:
        """Return the entities."""
        return iter(self._content.values())

    def misplaced(self) -> Iterator[str]:
        """Yield what is under a key that is not its own."""
        name, cls, key_of = self._kind.name, self._kind.entity, self._kind.key_getter()
        for key, entity in self._content.items():
            if type(entity) is not cls:
                yield f"{name}: {key!r} holds a {type(entity).__name__}, no {cls.__name__}"
            elif (own := key_of(entity)) != key:
                yield f"{name}: {key!r} holds the entity of {own!r}"


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
        require_entities(kind, content.values())
        key_of = kind.key_getter()
        require_keys(kind, ((key, key_of(entity)) for key, entity in content.items()))
        self._prefix = f"{kind.name}/"
        # A key that is text is the end of its stream's name; others are looked up.
        self._by_stream: dict[str, Any] | None = None
        if not all(type(key) is str for key in content):
            self._index()

    def get(self, key: Hashable) -> Any:
        """Return the entity, or None."""
        return self._content.get(key)

    logged = get

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

    def copy(self) -> DictCopy:
        """Take a shallow copy now."""
        return DictCopy(self.kind, dict(self._content))

    def forget(self, stream: str) -> None:
        """Remove all entities of a stream."""
        self.put(self._key_of(stream), None)

    def fresh(self) -> "DictStore":
        """Return an empty store of the same kind, which the app does not see."""
        return DictStore(self.kind, {})


class FactStore:
    """Of a kind that memory keeps nothing of: what is recorded is in the log and the table."""

    container = "no container"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def get(self, key: Hashable) -> Any:
        """Return None: a fact is new."""

    logged = get

    def put(self, key: Hashable, entity: Any) -> None:
        """Keep nothing."""

    def streams(self) -> list[str]:
        """Return no names."""
        return []

    def of_stream(self, stream: str) -> list[Any]:
        """Return no facts."""
        return []

    def copy(self) -> DictCopy:
        """Return a copy of nothing."""
        return DictCopy(self.kind, {})

    def forget(self, stream: str) -> None:
        """There is nothing to remove."""

    def fresh(self) -> "FactStore":
        """Return another that keeps nothing."""
        return FactStore(self.kind)


def require_entities(kind: Kind, values: Any) -> None:
    """Check that values are entities of a kind; raises StoreRefused."""
    for value in values:
        if type(value) is not kind.entity:
            raise StoreRefused(
                f"kind {kind.name!r} holds {kind.entity.__name__}, found {type(value).__name__}: "
                f"{value!r:.80}",
                remedy="register each container under the kind of what it holds",
            )


def require_keys(kind: Kind, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Check that entities are filed under their own keys; raises StoreRefused."""
    for key, own in pairs:
        if key != own:
            raise StoreRefused(
                f"kind {kind.name!r}: {key!r} holds the entity of {own!r}",
                remedy=f"file each entity under its own {', '.join(kind.key)}",
            )
