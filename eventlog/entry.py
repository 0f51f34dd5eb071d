"""What recording needs to know of one event type, and the ways an event is refused."""

from collections.abc import Callable, Hashable
from typing import Any, NoReturn

import msgspec

from eventlog.stores import Store
from schemas import envelope
from schemas.domain import Kind, TransitionRefused
from schemas.errors import FerryError
from schemas.validity import Validator


class EventTypeUnknown(FerryError):
    """The event's type is not one of the domain's."""


class EventTooLarge(FerryError):
    """The event, envelope included, would not fit into the topic; memory has not changed."""


class StoreMissing(FerryError):
    """No container is registered for the event's kind."""


class FerryClosed(FerryError):
    """The shim takes no more events."""


class Entry:
    """One event type: its functions and store, looked up once so that `record` is quick."""

    __slots__ = ("encode", "evolve", "head", "key", "kind", "store", "stream", "type_name", "whole")

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

    def refuse(self, error: TransitionRefused, stream: str) -> NoReturn:
        """Raise a kind's refusal with what the kind did not say: where, and what next."""
        error.where = error.where or f"stream {stream}, type {self.type_name}"
        error.remedy = error.remedy or "record what may follow the entity's present state"
        raise error
