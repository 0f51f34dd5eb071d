"""Capture around the app's own code: what a function or block changed is recorded when it ends."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from eventlog.blocks import Block
from eventlog.entry import MemorySetBack
from eventlog.receipts import Receipt
from eventlog.recorded.collecting import Collecting
from eventlog.recorded.elements import Elements, Entities
from eventlog.recorded.shapes import learn
from eventlog.recorded.watchable import classes_of
from eventlog.stores import StoreRefused
from eventlog.watched import WatchedStore
from schemas.errors import FerryError

F = TypeVar("F", bound=Callable[..., Any])


class NotWatched(FerryError):
    """A name was never given to `watch`."""


class NotAMutator(FerryError):
    """What `mutates` decorates has no end at which its changes could be compared."""


class _Running(threading.local):
    """The outermost block of the running thread: blocks within it are part of it."""

    def __init__(self) -> None:
        self.outermost: Mutates | None = None


class Capturing(Collecting):
    """Records what the app's own code changed in its own containers."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._watched: dict[str, WatchedStore] = {}
        self.running = _Running()

    def watch(
        self,
        name: str,
        container: Mapping[Any, Any] | Callable[[], Mapping[Any, Any]],
        of: Any,
        *,
        key_type: type[str] | type[int] = str,
        state: Callable[[Any], Any] | None = None,
    ) -> None:
        """Take a container as it is: `mutates` says which code changes it.

        Shape:  a dict, or a function that returns one, of what `of` says: an entity
                (`@ferry.entity`), or any value of a declared type. `state` makes one of what the
                container really holds, where that is of foreign classes.
        After a restart a dict of the app's own holds what the log says. What `state` looks at, the
        app brings back itself; the next capture records where it differs.
        Raises: KindNotDerivable, KindChanged, StoreRefused; EventInvalid for what it holds.
        """
        for cls in classes_of(of, getattr(of, "__name__", str(of))):
            learn(cls)
        elements: Elements
        if self.declarations.is_entity(of):
            kind = self.declarations.kind_of_entity(of, name)
            elements = Entities(kind)
        else:
            elements, kind = self._wrapped(name, [("key", key_type)], of)
        content = container if callable(container) else lambda: container
        if not isinstance(content(), Mapping):
            raise StoreRefused(
                f"a {type(content()).__name__} cannot be watched as {name!r}",
                remedy="watch a dict, or a function that returns one",
            )
        with self.lock, self.memory_lock:
            store = WatchedStore(kind, content, elements, state, self.memory_lock)
            self.keep(store)
            self.bring_back(store)
            self._watched[name] = store

    def mutates(
        self,
        *names: str,
        key: Any = None,
        keys: Any = None,
    ) -> "Mutates":
        """Return what records the changes of a block, or of each call it decorates.

        `with` a block of a thread, `async with` one that awaits.

        Shape:  `key` is the one key that changes, `keys` are several; for a decorator also
                functions of the call's arguments that return them. Without either, everything in
                the containers of these names is compared.
        All that differs is one unit. What a block changed before it raised is recorded too, and the
        exception goes on. A block within another is part of it. The lock of mutations is held
        throughout, but not by coroutines.
        Raises: at the end what recording raises; the containers then hold what they held before,
                or the error says that they differ.
        """
        stores = [self.watched(name) for name in names]
        if not stores or (len(stores) > 1 and not (key is None and keys is None)):
            raise NotWatched(
                "keys are of one container" if stores else "no container is named",
                where=f"ferry.mutates({', '.join(map(repr, names))})",
                remedy="name what ferry.watch was given; one name where keys are said",
            )
        return Mutates(self, stores, key, keys)

    def watched(self, name: str) -> WatchedStore:
        """Return the store of a name; raises NotWatched."""
        store = self._watched.get(name)
        if store is None:
            raise NotWatched(
                f"no container is watched as {name!r}",
                where=f"source {self.source}",
                remedy="call ferry.watch first; there are: " + ", ".join(self._watched),
            )
        return store

    def uncaptured(self, name: str) -> list[Any]:
        """Return the keys under which a container differs from what was recorded of it.

        Outside of any block: code that changes it is not decorated.
        """
        store = self.watched(name)
        with self.lock, self.memory_lock:
            return [difference.key for difference in store.differences(None)]


class Mutates:
    """A block, or a decorator of functions, whose changes are recorded at its end."""

    def __init__(self, ferry: Capturing, stores: list[WatchedStore], key: Any, keys: Any) -> None:
        self.receipts: list[Receipt] = []
        """Of the events that the block recorded, once it ended; of the outermost one."""
        self._ferry = ferry
        self._stores = stores
        self._key = key
        self._keys = keys
        self._blocks: list[Block] = []
        self._outer: Mutates | None = None

    # --- a block

    def __enter__(self) -> "Mutates":
        ferry, keys = self._ferry, self._named((), {})
        ferry.begin_change()
        try:
            self._open(keys)
        except BaseException:
            ferry.lock.release()
            raise
        finally:
            ferry.memory_lock.release()
        self._outer = outermost = ferry.running.outermost
        if outermost is None:
            ferry.running.outermost = self
        else:
            outermost._blocks += self._blocks
            self.receipts = outermost.receipts
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ferry = self._ferry
        try:
            if ferry.running.outermost is self:
                ferry.running.outermost = None
                self._record()
            elif ferry.running.outermost is not self._outer:
                # Coroutines took turns in their blocks, and the outer one ended first.
                self._record()
        finally:
            ferry.lock.release()

    async def __aenter__(self) -> "Mutates":
        await self._ferry.until_open()
        with self._ferry.memory_lock:
            self._open(self._named((), {}))
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._ferry.until_open()
        finally:
            self._record()

    # --- a decorator

    def __call__(self, function: F) -> F:
        """Return the function, or coroutine function, with its changes recorded at its end."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise NotAMutator(
                f"{function.__qualname__} is a generator",
                where=f"{function.__module__}.{function.__qualname__}",
                remedy="use `with ferry.mutates(...)` around each change in it",
            )
        ferry = self._ferry

        def fresh(given: tuple[Any, ...], named: dict[str, Any]) -> Mutates:
            return Mutates(ferry, self._stores, None, self._named(given, named))

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run(*given: Any, **named: Any) -> Any:
                async with fresh(given, named):
                    return await function(*given, **named)

            return run  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            with fresh(given, named):
                return function(*given, **named)

        return call  # type: ignore[return-value]

    def _named(self, given: tuple[Any, ...], named: dict[str, Any]) -> list[Any] | None:
        key, keys = self._key, self._keys
        if key is not None:
            found = [key(*given, **named) if callable(key) else key]
        elif keys is not None:
            found = list(keys(*given, **named) if callable(keys) else keys)
        else:
            return None
        for one in found:
            self._stores[0].require_key(one)
        return found

    # --- what both do; the first under the shim's memory lock

    def _open(self, keys: Iterable[Any] | None) -> None:
        self._blocks = [Block(store, keys) for store in self._stores]
        for block in self._blocks:
            block.store.blocks.append(block)

    def _record(self) -> None:
        ferry = self._ferry
        try:
            ferry.begin_change()
            try:
                self.receipts += self._record_differences()
            finally:
                ferry.end_change()
        except FerryError as error:
            with ferry.memory_lock:
                undone = [block.store.undo(block) for block in reversed(self._blocks)]
            error.remedy += (
                "; memory was set back" if all(undone)
                else "; memory differs from the log: the next capture of the same keys records it"
            )  # fmt: skip
            raise
        finally:
            with ferry.memory_lock:
                for block in self._blocks:
                    if block in block.store.blocks:
                        block.store.blocks.remove(block)

    def _record_differences(self) -> list[Receipt]:
        found = {}
        if any(block.overtaken for block in self._blocks):
            names = sorted({b.store.kind.name for b in self._blocks if b.overtaken})
            raise MemorySetBack(
                "a rollback set memory back while this changed it: nothing of it was recorded",
                where=f"ferry.mutates({', '.join(map(repr, names))})",
                remedy="do it again, on the state that there is now",
            )
        for block in self._blocks:
            for difference in block.store.differences(block.keys):
                found[id(block.store), difference.key] = (block.store, difference)
        if not found:
            return []
        changes = [
            (
                store,
                one.entity if one.entity is not None else store.was(one.key),
                one.entity is None,
            )
            for store, one in found.values()
        ]

        def note() -> None:
            for store, one in found.values():
                store.take((one,))

        return self._ferry.record_states(changes, note)
