"""A container that stays the app's own: what was recorded of it last, beside what it holds now."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import msgspec

from eventlog.blocks import Block
from eventlog.recorded.elements import Elements
from eventlog.recorded.places import MISSING
from eventlog.recorded.refusals import KeyDiffers
from eventlog.recorded.shapes import shape_of
from eventlog.recorded.stores import key_of_stream, stream_names
from schemas.domain import Kind
from schemas.errors import FerryError
from schemas.validity import EventInvalid, Validator

_KEY_TYPES: dict[str, type] = {"text": str, "integer": int}
CHUNK_ENTITIES = 64
"""Entities looked at in one hold of the shim's lock."""
Content = Callable[[], Mapping[Any, Any]]


class Difference(NamedTuple):
    """What the container holds under a key and was not recorded; None for the entity that ended."""

    key: Any
    entity: Any
    data: bytes


class WatchedStore:
    """The app's container as a store.

    `recorded` is the log's side of it: the state of each key as its event had it, as bytes. Memory
    as others are told of it is that, but for what differs and no open block is changing: then it is
    what the container holds, and an audit finds what nobody captured.
    """

    def __init__(
        self,
        kind: Kind,
        content: Content,
        elements: Elements,
        state: Callable[[Any], Any] | None,
        lock: AbstractContextManager[Any],
    ) -> None:
        self.kind = kind
        self.container = f"watched {type(content()).__name__}"
        self.content = content
        self._key_types = _key_types_of(kind)
        self.recorded: dict[Any, bytes] = {}
        self.blocks: list[Block] = []
        self._elements = elements
        self._state = state
        self._lock = lock
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._decode: Callable[[bytes], Any] = msgspec.json.decode
        for difference in self.differences(None):
            self.recorded[difference.key] = difference.data

    def require_key(self, key: Any) -> None:
        """Check that something may be a key here; raises KeyDiffers: no such key ever changes."""
        wanted = self._key_types
        if not wanted:
            return  # a hand-written kind says nothing of them
        parts = key if isinstance(key, tuple) and len(wanted) > 1 else (key,)
        if tuple(map(type, parts)) != wanted:
            names = ", ".join(cls.__name__ for cls in wanted)
            raise KeyDiffers(
                f"{key!r} is no key: keys are {names if len(wanted) == 1 else f'({names})'}",
                where=f"kind {self.kind.name}, `key` or `keys` of ferry.mutates",
                remedy="let `key` be the key itself; several of them are a list, by `keys`",
            )

    def differences(self, keys: Iterable[Any] | None) -> list[Difference]:
        """Return what differs from what was recorded, among these keys or all; raises EventInvalid.

        The order is that of the container, what ended last.
        """
        content = self.content()
        found = []
        for key in dict.fromkeys([*content, *self.recorded] if keys is None else keys):
            element = content.get(key, MISSING)
            if element is not MISSING:
                entity = self._entity(key, element)
                data = self._encode(entity)
                if self.recorded.get(key) != data:
                    found.append(Difference(key, entity, data))
            elif key in self.recorded:
                found.append(Difference(key, None, b""))
        return found

    def was(self, key: Any) -> Any:
        """Return the entity as it was recorded last."""
        return self._thawed(self.recorded[key])

    def take(self, differences: Iterable[Difference]) -> None:
        """Note that differences are recorded."""
        for key, entity, data in differences:
            if entity is None:
                del self.recorded[key]
            else:
                self.recorded[key] = data

    def undo(self, block: Block) -> bool:
        """Give the container back what it held before a block; False where it cannot be done."""
        content = self.content()
        keys = [*content, *block.before] if block.keys is None else block.keys
        if self._state is not None or not isinstance(content, MutableMapping):
            return False
        try:
            for key in dict.fromkeys(keys):
                if key not in block.before:
                    content.pop(key, None)
                    continue
                if content.get(key, MISSING) is not block.before[key]:
                    content[key] = block.before[key]
                if self._differs(key):
                    self._set_back(content, key)
        except (AttributeError, TypeError, FerryError):  # the app's own classes may refuse
            return False
        return True

    def _differs(self, key: Any) -> bool:
        try:
            return bool(self.differences((key,)))
        except FerryError:  # what it holds now cannot be recorded
            return True

    def _set_back(self, content: MutableMapping[Any, Any], key: Any) -> None:
        element, was = content[key], self._elements.element(self.was(key))
        shape = shape_of(type(element))
        if shape is None or shape.frozen or type(was) is not type(element):
            content[key] = was
            return
        for name in shape.fields:
            shape.set_field(element, name, getattr(was, name))

    def _encode(self, entity: Any) -> bytes:
        event = self.kind.snapshot(entity)
        cls = type(event)
        if cls not in self._encoders:
            self._encoders[cls] = Validator(cls).encode
            self._decode = msgspec.json.Decoder(cls).decode
        return self._encoders[cls](event)

    def _entity(self, key: Any, element: Any) -> Any:
        if self._state is not None:
            try:
                element = self._state(element)
            except Exception as error:  # the app's own function
                raise EventInvalid(
                    f"{key!r}: the state of a {type(element).__name__} cannot be read: {error!r}",
                    where=f"kind {self.kind.name}",
                    remedy="mend the function given to ferry.watch as `state`",
                ) from error
        return self._elements.entity(key, element)

    # --- as a store

    def get(self, key: Any) -> Any:
        """Return the entity that the container holds, or None."""
        element = self.content().get(key, MISSING)
        return None if element is MISSING else self._entity(key, element)

    def logged(self, key: Any) -> Any:
        """Return the entity as it was recorded last, or None."""
        return self.was(key) if key in self.recorded else None

    def put(self, key: Any, entity: Any) -> None:
        """Set an entity; None ends it.

        A container of foreign objects is left alone: its app brings them back.
        """
        content, mine = self.content(), self.settable
        if entity is None:
            self.recorded.pop(key, None)
            if mine:
                content.pop(key, None)  # type: ignore[attr-defined]
            return
        self.recorded[key] = self._encode(entity)
        if mine:
            content[key] = self._elements.element(entity)  # type: ignore[index]

    @property
    def settable(self) -> bool:
        """Whether memory can be set here: foreign objects are their app's to bring back."""
        return self._state is None and isinstance(self.content(), MutableMapping)

    def overtake(self, key: Any) -> None:
        """Note that what is under a key was set, whatever code is changing it."""
        content = self.content()
        for block in self.blocks:
            if block.covers(key):
                block.overtaken = True
                block.before.pop(key, None)
                if key in content:
                    block.before[key] = content[key]

    def streams(self) -> list[str]:
        """Return the names of all streams that were recorded, or are about to be."""
        return stream_names(self.kind, self.recorded)

    def of_stream(self, stream: str) -> list[Any]:
        """Return the entity of a stream as it was recorded last."""
        key = key_of_stream(self.kind, self.recorded, stream)
        return [] if key is MISSING else [self.was(key)]

    def forget(self, stream: str) -> None:
        """Remove the entity of a stream."""
        key = key_of_stream(self.kind, self.recorded, stream)
        if key is not MISSING:
            self.put(key, None)

    def fresh(self) -> "WatchedStore":
        """Return an empty store of the same kind, which the app does not see."""
        content: dict[Any, Any] = {}
        return WatchedStore(self.kind, lambda: content, self._elements, None, self._lock)

    def copy(self) -> "WatchedCopy":
        """Take a copy now."""
        return WatchedCopy(self, dict(self.recorded))

    def misplaced(self) -> list[str]:
        """Return what the container holds and no event can say: under a key not its own, say."""
        found = []
        with self._lock:
            keys = list(self.content())
        for start in range(0, len(keys), CHUNK_ENTITIES):
            with self._lock:
                content = self.content()
                for key in keys[start : start + CHUNK_ENTITIES]:
                    if key not in content or any(block.covers(key) for block in self.blocks):
                        continue
                    try:
                        self._entity(key, content[key])
                    except FerryError as error:
                        found.append(f"{self.kind.name}: {error.what}")
        return found

    def entities(self, recorded: dict[Any, bytes]) -> Iterator[Any]:
        """Yield the entities that memory has, by what was recorded at one moment."""
        with self._lock:
            keys = list(dict.fromkeys([*recorded, *self.content()]))
        for start in range(0, len(keys), CHUNK_ENTITIES):
            with self._lock:
                data = [
                    self._claimed(key, recorded) for key in keys[start : start + CHUNK_ENTITIES]
                ]
            yield from (self._thawed(one) for one in data if one)

    def _claimed(self, key: Any, recorded: dict[Any, bytes]) -> bytes:
        """Return what memory says of a key, empty where it has nothing."""
        if not any(block.covers(key) for block in self.blocks):
            try:
                found = self.differences((key,))
            except FerryError:  # no event can say what it holds: the log's word stands
                found = []
            if found:
                return found[0].data
        return recorded.get(key, b"")

    def _thawed(self, data: bytes) -> Any:
        return self.kind.evolve(None, self._decode(data))


class WatchedCopy:
    """A watched container as it was recorded at one moment, beside what it holds unrecorded."""

    def __init__(self, store: WatchedStore, recorded: dict[Any, bytes]) -> None:
        self._store = store
        self._recorded = recorded

    def __call__(self) -> Iterator[Any]:
        """Return the entities."""
        return self._store.entities(self._recorded)

    def misplaced(self) -> Iterator[str]:
        """Yield what no event can say."""
        yield from self._store.misplaced()


def _key_types_of(kind: Kind) -> tuple[type, ...]:
    if kind.description is None:
        return ()
    columns = {column.name: column.type for column in kind.description.columns}
    return tuple(_KEY_TYPES[columns[name]] for name in kind.key)
