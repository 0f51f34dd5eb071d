"""What an event does to the tables: decoded by its type, brought to today's version, handled."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union

import msgspec

from projector.plain_types import plain_type, set_class
from schemas.control import CONTROL_PREFIX
from schemas.domain import Domain
from schemas.envelope import SPECVERSION, Envelope
from schemas.errors import FerryError
from schemas.tables import Change

Changes: TypeAlias = tuple[Change, ...]
_SEQ_MOST = 19
"""Digits of a lane's largest number."""
_OTHER_DOMAIN = "run the projector with the domain that wrote this event (`--domain`)"


class EventUnreadable(FerryError):
    """The event's type is unknown here, or its data does not fit its type."""


class EventTypeUnknown(EventUnreadable):
    """No kind that is known here has an event of this type."""


class HandlerFailed(FerryError):
    """The domain's handler raised an error for an event."""


class Event(NamedTuple):
    """How the data of one type becomes its event, and what that does to the tables."""

    made_of: Callable[[Any], Any] | None
    """Data → event, where it is decoded as a plain twin of its type."""
    becomes: type[Any] | None
    """Where `set_class` makes such a twin the event: what it becomes."""
    project: Callable[[Any], Changes]


class Effects:
    """A domain's decoders and handlers; pure."""

    def __init__(self, domain: Domain) -> None:
        self._readers = {
            name: (reader.read, reader.kind.project) for name, reader in domain.readers.items()
        }
        self.whole: dict[type[Any], Event] = {}
        """Type of a record that was read → what becomes of its data."""
        for name, (kind, event) in domain.by_type.items():
            plain = plain_type(event)
            whole = _whole(name, event if plain is None else plain.twin)
            self.whole[whole] = Event(
                None if plain is None else plain.event_of,
                event if plain is not None and plain.same_layout else None,
                kind.project,
            )
        self.decode: Callable[[Any], Any] = msgspec.json.Decoder(
            Union[tuple(self.whole)] if self.whole else None  # noqa: UP007  (made here)
        ).decode
        """A record's bytes → the same as `read` gives, but for a number that is none; raises."""

    def read(self, value: bytes | None) -> Any:
        """Return a record of a current type: an Envelope but for `data`, which is decoded.

        None for anything else: `of` takes a closer look. Envelope and data are decoded together, by
        the type that the record says it has.
        """
        try:
            whole = self.decode(value)
        except Exception:  # also of a __post_init__
            return None
        return whole if whole is not None and whole.seq.isdecimal() else None

    def apply(self, whole: Any) -> Changes:
        """Return what an event that was read does to the tables; raises what its handler raises."""
        made_of, becomes, project = self.whole[type(whole)]
        data = whole.data
        if becomes is not None:
            set_class(data, becomes)
        elif made_of is not None:
            data = made_of(data)
        return tuple(project(data))

    def of(self, event: Envelope) -> Changes:
        """Return what an event does to the tables; nothing for a control event.

        Raises: EventTypeUnknown, EventUnreadable, HandlerFailed; where it stands is not in them.
        """
        reader = self._readers.get(event.type)
        if reader is None:
            if event.type.startswith(CONTROL_PREFIX):
                return ()
            raise EventTypeUnknown(
                f"no kind has an event of type {event.type!r}", remedy=_OTHER_DOMAIN
            )
        read, project = reader
        try:
            changes: Changes = tuple(project(read(event.data)))
        except msgspec.MsgspecError as error:
            raise EventUnreadable(
                f"an event's data does not fit its type {event.type!r}: {error}",
                remedy=_OTHER_DOMAIN,
            ) from error
        except Exception as error:  # the domain's code: one event must not end us
            raise HandlerFailed(
                f"the handler of {event.type!r} failed: {error!r}",
                remedy="correct the handler (`domain`) and retry the event",
            ) from error
        return changes


def _whole(name: str, data: type[Any]) -> type[Any]:
    """Return the Struct of whole records of one type: an Envelope whose type is its tag."""
    of_its_own = {"type", "specversion", "seq"}
    fields = [f for f in msgspec.structs.fields(Envelope) if f.name not in of_its_own]
    return msgspec.defstruct(
        "WholeEvent",
        [
            ("specversion", Literal[SPECVERSION]),
            ("seq", Annotated[str, msgspec.Meta(max_length=_SEQ_MOST)]),
            *(
                (f.name, data if f.name == "data" else f.type)
                if f.required
                else (f.name, f.type, f.default)
                for f in fields
            ),
        ],
        tag_field="type",
        tag=name,
        frozen=True,
        gc=False,
    )
