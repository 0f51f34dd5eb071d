"""The shim's part that makes recorded collections."""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eventlog.declaring import Declaring
from eventlog.recorded.collection import Collection
from eventlog.recorded.deque_collection import DequeCollection
from eventlog.recorded.deques import RecordedDeque
from eventlog.recorded.dict_collection import DictCollection
from eventlog.recorded.dicts import RecordedDict
from eventlog.recorded.elements import Elements, Entities, Wrapped
from eventlog.recorded.list_collection import ListCollection
from eventlog.recorded.lists import RecordedList
from eventlog.recorded.stores import RecordedDictStore, RecordedRowStore
from eventlog.recorded.watchable import classes_of
from eventlog.stores import Store
from schemas.derived.describe import describe
from schemas.domain import Kind

_STREAM = "collection"


class Collecting(Declaring, ABC):
    """Makes containers whose every change is recorded before it happens."""

    def dict(
        self,
        name: str,
        of: Any,
        *,
        key_type: type[str] | type[int] = str,
        content: Mapping[Any, Any] | None = None,
    ) -> RecordedDict:
        """Return a recorded dict: key → entity, or key → any value of a declared type.

        Shape:   of entities (`@ferry.entity`) under their own keys, in the table `name`; else a
                 table with `key`, and the value's fields or `value`. `content` is what memory holds
                 already, recorded by `snapshot` or with its first change.
        After a restart it holds what the log says.
        Raises:  KindNotDerivable and Unwatchable, naming the field; KindChanged, StoreRefused.
        """
        elements: Elements
        if self.declarations.is_entity(of):
            _require_watchable(of)
            kind = self.declarations.kind_of_entity(of, name)
            elements = Entities(kind)
        else:
            elements, kind = self._wrapped(name, [("key", key_type)], of)
        node = RecordedDict()
        collection = DictCollection(self, kind, name, node, elements, of)
        self._fill(collection, RecordedDictStore(collection), (content or {}).items())
        return node

    def list(self, name: str, of: Any, *, content: Sequence[Any] = ()) -> RecordedList:
        """Return a recorded list of values of a declared type; its table has a row for each place.

        Shape:   columns `collection`, `place`, then the value's fields or `value`. One stream. What
                 moves items (insert, sort, del in the middle) rewrites all the rows that differ.
        Raises:  as `dict`.
        """
        elements, kind = self._wrapped(name, [(_STREAM, str), ("place", int)], of)
        node = RecordedList()
        collection = ListCollection(self, kind, name, node, elements, of)
        self._fill(collection, RecordedRowStore(collection), enumerate(content))
        return node

    def deque(
        self, name: str, of: Any, *, maxlen: int | None = None, content: Iterable[Any] = ()
    ) -> RecordedDeque:
        """Return a recorded deque, or ring buffer; its table has a row for each number.

        Shape:   columns `collection`, `number`, then the value's fields or `value`. One stream.
                 What a full one loses at the left stays in the table, as history.
        Raises:  as `dict`.
        """
        places: Sequence[tuple[str, type]] = [(_STREAM, str), ("number", int)]
        elements, kind = self._wrapped(name, places, of, windowed=maxlen is not None)
        node = RecordedDeque(maxlen=maxlen)
        collection = DequeCollection(self, kind, name, node, elements, of)
        self._fill(collection, RecordedRowStore(collection), enumerate(content))
        return node

    def _wrapped(
        self, name: str, places: Sequence[tuple[str, type]], of: Any, *, windowed: bool = False
    ) -> tuple[Wrapped, Kind]:
        _require_watchable(of)
        elements = Wrapped(name, places, of)
        keys = [place for place, _ in places]
        description = describe(
            name, elements.wrapper, key=keys, stream=keys[:1], table=name, windowed=windowed
        )
        return elements, self.declarations.declare(description, elements.wrapper)

    def _fill(self, collection: Collection, store: Store, content: Iterable[Any]) -> None:
        collection.store = store
        with self.lock, self.memory_lock:
            for key, element in builtins.list(content):
                collection.elements.entity(key, element)
                collection.put_raw(key, element)
            collection.root.value._place = collection.root
            self.keep(store)
            self.bring_back(store)

    @abstractmethod
    def bring_back(self, store: Store) -> None:
        """After a restart, bring a store to what the log says of its streams."""


def _require_watchable(of: Any) -> None:
    classes_of(of, getattr(of, "__name__", str(of)))
