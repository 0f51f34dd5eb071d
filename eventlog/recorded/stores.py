"""Recorded collections as the shim's stores: read, copied, and changed without recording."""

from collections import deque
from collections.abc import Collection as Keys
from collections.abc import Iterable
from typing import Any

from eventlog.recorded.collection import Collection
from eventlog.recorded.copies import Copy
from eventlog.recorded.deque_collection import DequeCollection
from eventlog.recorded.deques import RecordedDeque
from eventlog.recorded.dicts import RecordedDict
from eventlog.recorded.list_collection import ListCollection
from eventlog.recorded.lists import RecordedList
from eventlog.recorded.places import MISSING
from eventlog.recorded.plain import plain
from eventlog.stores import StoreRefused
from schemas.domain import Kind


def stream_names(kind: Kind, keys: Iterable[Any]) -> list[str]:
    """Return the streams of a kind that has one entity a stream, by the keys of its entities."""
    if len(kind.key) == 1:
        return [f"{kind.name}/{key}" for key in keys]
    return [f"{kind.name}/" + "/".join(map(str, key)) for key in keys]


def key_of_stream(kind: Kind, keys: Keys[Any], stream: str) -> Any:
    """Return the key of a stream's entity, MISSING where there is none.

    Mostly it is what the stream's name says; else it is the one that gives the name.
    """
    text = stream.removeprefix(f"{kind.name}/")
    if len(kind.key) == 1:
        if text in keys:
            return text
        if text.removeprefix("-").isdecimal() and int(text) in keys:
            return int(text)
    names = zip(stream_names(kind, keys), keys, strict=True)
    return next((key for name, key in names if name == stream), MISSING)


class RecordedDictStore:
    """A recorded dict: a stream a key. What it gives is unwatched."""

    def __init__(self, collection: Collection) -> None:
        kind = collection.kind
        if len(kind.key) != len(kind.stream):
            raise StoreRefused(
                f"kind {kind.name!r} keeps several entities a stream, a recorded dict keeps one",
                remedy="register a dict of deques: stream → deque of entities",
            )
        self.kind: Kind = kind
        self.container = "recorded dict"
        self._collection = collection
        self._content: dict[Any, Any] = collection.root.value

    def get(self, key: Any) -> Any:
        """Return the entity, or None."""
        element = self._content.get(key, MISSING)
        return None if element is MISSING else self._collection.elements.entity(key, plain(element))

    logged = get

    def put(self, key: Any, entity: Any) -> None:
        """Set an entity; None ends it. Nothing is recorded."""
        element = MISSING if entity is None else self._collection.elements.element(entity)
        self._collection.put_raw(key, element)

    def streams(self) -> list[str]:
        """Return the names of all streams that have an entity here."""
        return stream_names(self.kind, self._content)

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entities of one stream."""
        key = self._key_of(stream)
        return [] if key is MISSING else [self.get(key)]

    def copy(self) -> Copy:
        """Take a copy now."""
        return self._collection.copy(list(self._content.items()))

    def forget(self, stream: str) -> None:
        """Remove the entity of a stream."""
        key = self._key_of(stream)
        if key is not MISSING:
            self._collection.put_raw(key, MISSING)

    def fresh(self) -> "RecordedDictStore":
        """Return an empty store of the same kind, which the app does not see."""
        return RecordedDictStore(self._collection.fresh(RecordedDict()))

    def _key_of(self, stream: str) -> Any:
        return key_of_stream(self.kind, self._content, stream)


class RecordedRowStore:
    """A recorded list or deque: all its elements are one stream. What it gives is unwatched."""

    def __init__(self, collection: ListCollection | DequeCollection) -> None:
        self.kind: Kind = collection.kind
        self.container = (
            f"recorded {'deque' if isinstance(collection, DequeCollection) else 'list'}"
        )
        self.told_by_tables = getattr(collection.root.value, "maxlen", None) is None
        """Whether the table's rows say what memory holds: a ring's say what it lost, too."""
        self._collection = collection
        self._stream = f"{collection.kind.name}/{collection.name}"

    def get(self, key: Any) -> Any:
        """Return the entity, or None; a key is the collection's name and a place in it."""
        found = [entity for entity in self._entities(key[1], key[1] + 1) if key[0] == self._name]
        return found[0] if found else None

    logged = get

    @property
    def _name(self) -> str:
        return self._collection.name

    def _pairs(self) -> list[tuple[int, Any]]:
        return list(enumerate(self._collection.root.value, self.first))

    def _entities(self, start: int, stop: int) -> list[Any]:
        collection, first = self._collection, self.first
        stop = min(stop, first + len(collection.root.value))
        entity = collection.elements.entity
        return [entity(at, plain(collection.at(at))) for at in range(max(start, first), stop)]

    def put(self, key: Any, entity: Any) -> None:
        """Set an entity; None ends it. Nothing is recorded."""
        element = MISSING if entity is None else self._collection.elements.element(entity)
        self._collection.put_raw(key[1], element)

    def streams(self) -> list[str]:
        """Return the stream's name, where there is anything."""
        return [self._stream] if self._collection.root.value else []

    def of_stream(self, stream: str) -> list[Any]:
        """Return all entities, the first place first."""
        entity = self._collection.elements.entity
        pairs = self._pairs() if stream == self._stream else ()
        return [entity(at, plain(element)) for at, element in pairs]

    def copy(self) -> Copy:
        """Take a copy now."""
        return self._collection.copy(self._pairs())

    def forget(self, stream: str) -> None:
        """Remove everything."""
        if stream == self._stream:
            self._collection.clear_raw()

    def fresh(self) -> "RecordedRowStore":
        """Return an empty store of the same kind and length, which the app does not see."""
        node = self._collection.root.value
        empty = RecordedDeque(maxlen=node.maxlen) if isinstance(node, deque) else RecordedList()
        return RecordedRowStore(self._collection.fresh(empty))

    @property
    def first(self) -> int:
        """The number of the leftmost item of a deque, or of the next one while there is none."""
        collection = self._collection
        return collection.first if isinstance(collection, DequeCollection) else 0

    def begin_at(self, number: int) -> None:
        """Give the next item of an empty deque this number."""
        if isinstance(self._collection, DequeCollection) and not self._collection.root.value:
            self._collection.first = number
