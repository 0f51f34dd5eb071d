"""A rollback as an app takes part in it: what is prepared, and what was mutated since.

Preparing (rollback_preparing.py) reads from the log what memory will be; under a fence
(rollback_commit.py) the marks are committed and memory is set. One rollback at a time.
Source: docs/decisions/0029-voids-are-the-sources-own.md
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from eventlog.stores import FactStore, Store
from eventlog.voids import OwnVoids
from schemas.errors import FerryError
from schemas.requests import RollbackQuestion
from schemas.void import Void

KEPT_S = 600.0
"""How long something stays prepared that no fence asks for."""
_NAMED_MOST = 5


@runtime_checkable
class Numbering(Protocol):
    """A store that numbers its entities by itself."""

    @property
    def first(self) -> int:
        """The number of the first entity, or of the next one while there is none."""

    def begin_at(self, number: int) -> None:
        """Give the next entity this number, where there is none."""


@runtime_checkable
class Changing(Protocol):
    """A store of a container that the app's own code changes, and is told of afterwards."""

    @property
    def settable(self) -> bool:
        """Whether memory can be set here."""

    def overtake(self, key: Any) -> None:
        """Note that what is under a key was set, whatever code is changing it."""


class RollbackRefused(FerryError):
    """Memory cannot be set back; nothing was changed."""


class StreamState(NamedTuple):
    """What memory holds of a stream."""

    entities: list[Any]
    first: int
    """Of a recorded deque: the number of its leftmost item, or of the next one."""
    recorded: bool
    """Whether the log holds it: else there is nothing, or the first snapshot brings it."""


def state_of(store: Store, stream: str, *, recorded: bool) -> StreamState:
    """Return what a store holds of a stream."""
    first = store.first if isinstance(store, Numbering) else 0
    return StreamState(store.of_stream(stream), first, recorded)


def set_state(store: Store, stream: str, state: StreamState) -> None:
    """Let a store hold of a stream what it held; the container stays, as does what is equal."""
    key_of = store.kind.key_getter()
    present, keys = store.of_stream(stream), [key_of(entity) for entity in state.entities]
    if [key_of(entity) for entity in present] != keys:
        store.forget(stream)
        if isinstance(store, Numbering):
            store.begin_at(state.first)
    for key, entity in zip(keys, state.entities, strict=True):
        store.put(key, entity)
    if isinstance(store, Changing):
        for key in {*keys, *map(key_of, present)}:
            store.overtake(key)


class Touched:
    """Streams that were mutated since a moment, each as it was before; under the shim's lock."""

    def __init__(self, streams: tuple[str, ...]) -> None:
        self._named = frozenset(streams)
        self.before: dict[str, tuple[Store, StreamState]] = {}
        self.unrecorded: set[str] = set()
        """Those whose first event since is their first snapshot."""

    def note(self, store: Store, stream: str, *, known: bool) -> None:
        """Note a stream whose store still holds the state before."""
        if stream in self.before or isinstance(store, FactStore):
            return
        if self._named and stream not in self._named:
            return
        state = state_of(store, stream, recorded=known)
        self.before[stream] = (store, state)
        if state.entities and not known:
            self.unrecorded.add(stream)


class Prepared(NamedTuple):
    """Everything there is to know before a fence."""

    question: RollbackQuestion
    void: Void
    """As it is assumed, or as it is to be reversed."""
    stores: Mapping[str, Store]
    """Those that were registered."""
    streams: Mapping[str, StreamState]
    """Those whose state changes, as they will be."""
    refused: frozenset[str]


class Rollbacks:
    """At most one prepared rollback of an app, and the gate that a fence closes for it.

    Every method is called under the shim's lock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._prepared: Prepared | None = None
        self.until = 0.0
        """When what is prepared is let go, by the clock."""
        self.touched: Touched | None = None
        """Told of every stream that is mutated, while something is prepared or about to be."""
        self.sealed = ""
        """The fence for which first snapshots wait, too; empty: none."""
        self.count = 0
        """How often memory was set back."""

    def watch(self, streams: tuple[str, ...]) -> Touched:
        """Forget what was prepared; note from now on which streams are mutated.

        Raises: RollbackRefused while a fence holds what was prepared.
        """
        if self.sealed:
            raise RollbackRefused("a rollback is being decided: its fence has not ended")
        self._prepared = None
        self.until = self._clock() + KEPT_S
        self.touched = Touched(streams)
        return self.touched

    def keep(self, prepared: Prepared, touched: Touched) -> None:
        """Be ready for the fence; raises RollbackRefused where `touched` is told no more."""
        if touched is not self.touched:
            raise RollbackRefused(
                "another rollback was asked for meanwhile, or a snapshot found memory unlike the "
                "log",
                remedy="ask for it again",
            )
        self._prepared = prepared
        self.until = self._clock() + KEPT_S

    def forget(self) -> None:
        """Let go of what is prepared."""
        self._prepared = self.touched = None

    def expire(self) -> None:
        """Let go of what nobody asks for."""
        if self._prepared is not None and not self.sealed and self._clock() > self.until:
            self.forget()

    def ready(self, void: str, stores: Mapping[str, Store], voids: OwnVoids) -> Prepared:
        """Return what is prepared for a void; raises RollbackRefused."""
        prepared, touched = self._prepared, self.touched
        if prepared is None or touched is None or prepared.void.id != void:
            raise RollbackRefused(
                f"nothing is prepared for void {void}",
                remedy="ask for the rollback again: the app prepares it first",
            )
        if dict(prepared.stores) != dict(stores):
            raise RollbackRefused(
                "a container was registered since the rollback was prepared",
                remedy="ask for the rollback again",
            )
        require_undecided(prepared.question, voids)
        refused = prepared.refused | refused_since(prepared, touched)
        if refused:
            names = sorted(refused)[:_NAMED_MOST]
            raise RollbackRefused(
                f"{len(refused)} streams stand in the way: {', '.join(names)}",
                remedy="see `memferry rollback --dry-run`, which names them",
            )
        require_settable(prepared, stores, touched)
        return prepared


def refused_since(prepared: Prepared, touched: Touched) -> set[str]:
    """Return the streams that stand in the way by what was recorded since."""
    if prepared.question.restore:
        return touched.before.keys() & prepared.streams.keys()
    return touched.unrecorded - prepared.streams.keys()


def require_undecided(question: RollbackQuestion, voids: OwnVoids) -> None:
    """Check that a void was not decided before, or for its reversal that it is; else refuse."""
    there = question.void in voids.in_force
    if question.restore and not there:
        raise RollbackRefused(f"void {question.void} is not in force here: nothing to reverse")
    if not question.restore and (there or question.void in voids.restored):
        raise RollbackRefused(f"void {question.void} was decided before")


def require_settable(prepared: Prepared, stores: Mapping[str, Store], touched: Touched) -> None:
    """Check that every container concerned is one that can be set; raises RollbackRefused."""
    for stream in (*prepared.streams, *touched.before):
        store = stores.get(stream.partition("/")[0])
        if isinstance(store, Changing) and not store.settable:
            raise RollbackRefused(
                f"{store.kind.name}: its container holds objects of the app's own, which memferry "
                "does not make",
                where=f"stream {stream}",
                remedy="name the streams that are to be voided, and correct these by new events",
            )
