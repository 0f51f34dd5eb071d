"""What recording needs to know of one event type, and the ways an event is refused."""

from collections.abc import Callable, Hashable
from typing import Any, NoReturn

import msgspec

from eventlog.counting import KindCount
from eventlog.stores import Store
from schemas import envelope
from schemas.domain import Kind, TransitionRefused
from schemas.errors import FerryError
from schemas.tables import Insert
from schemas.validity import Validator


class EventTypeUnknown(FerryError):
    """The event's type is not one of the domain's."""


class EventTooLarge(FerryError):
    """The event, envelope included, would not fit into the topic; memory has not changed."""


class StoreMissing(FerryError):
    """No container is registered for the event's kind."""


class MutationNested(FerryError):
    """Something was recorded by code that a mutation itself called; memory has not changed."""


class MemorySetBack(FerryError):
    """A rollback set memory back meanwhile: what was made of the state before is not recorded."""


class FerryClosed(FerryError):
    """The shim takes no more events."""


class Entry:
    """One event type: its functions and store, looked up once so that `record` is quick."""

    __slots__ = ("_inserts", "count", "encode", "evolve", "head", "key", "kind", "store", "stream",
                 "type_name", "whole")  # fmt: skip

    def __init__(
        self, source: str, kind: Kind, event: type[msgspec.Struct], type_name: str
    ) -> None:
        self.kind = kind
        self.type_name = type_name
        self.encode = Validator(event).encode
        self.head = envelope.HeadWriter(source, type_name).head
        self.evolve: Callable[[Any, Any], Any] = kind.evolve
        self.key: Callable[[Any], Hashable] = kind.key_getter()
        self.stream: Callable[[Any], str] = kind.stream_getter()
        self.store: Store | None = None
        self.whole = False  # the log holds everything of the kind: no stream needs a snapshot
        self.count: KindCount | None = None  # where what is recorded is counted
        self._inserts: bool | None = None

    def inserts(self, event: Any) -> bool:
        """Say whether events of this type do no more than insert rows; found out at the first."""
        if self._inserts is None:
            self._inserts = all(type(change) is Insert for change in self.kind.project(event))
        return self._inserts

    def refuse(self, error: TransitionRefused, stream: str) -> NoReturn:
        """Raise a kind's refusal with what the kind did not say: where, and what next."""
        error.where = error.where or f"stream {stream}, type {self.type_name}"
        error.remedy = error.remedy or "record what may follow the entity's present state"
        raise error

    def refuse_unregistered(self, source: str) -> NoReturn:
        """Raise StoreMissing: the app has not said where it keeps these entities."""
        raise StoreMissing(
            f"no store is registered for kind {self.kind.name!r}",
            where=f"source {source}",
            remedy=f"call ferry.register({self.kind.name!r}, container) before recording",
        )


def refuse_nested() -> NoReturn:
    """Raise MutationNested: the state that the mutation began with would be written over."""
    raise MutationNested(
        "a mutation would be recorded from inside another one",
        where="the kind's `evolve`, or what it calls",
        remedy="record it behind the first one; events that belong together go by `record_all`",
    )


def refuse_type(event_type: type, domain: str) -> NoReturn:
    """Raise EventTypeUnknown, naming the type and the domain that does not know it."""
    raise EventTypeUnknown(
        f"{event_type.__name__} is no event of the domain {domain!r}",
        where=f"type {event_type.__module__}.{event_type.__qualname__}",
        remedy="declare it in a kind's `events`, under its type name with version",
    )
