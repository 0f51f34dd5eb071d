"""Earlier versions of events: how they looked, and the pure steps that bring them to today's.

A version is written once and kept for ever, so what was recorded as `trade.opened.v1` is read for
ever. When the event changes, it becomes `trade.opened.v2`, and the domain keeps what v1 looked like
with the step from there.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.errors import FerryError

EventType = type[msgspec.Struct]
_VERSIONED = re.compile(r"(?P<stem>.+)\.v(?P<version>[1-9][0-9]*)")


class VersionsInvalid(FerryError):
    """A kind's earlier versions do not lead to its events."""


class Upcaster(NamedTuple):
    """One earlier version of an event, and the step to a later one."""

    struct: EventType
    """How its data looks."""
    to: str
    """CloudEvents type of a later version: one of the kind's events, or another earlier one."""
    step: Callable[[Any], Any]
    """An event of this version → the same event as `to` has it; pure."""


Read = Callable[[Any], Any]
"""An event's data, encoded → the event as its kind knows it today."""


def readers_of(
    kind: str, events: Mapping[str, EventType], upcasters: Mapping[str, Upcaster]
) -> dict[str, Read]:
    """Return how each type that was ever written is read, by CloudEvents type.

    Raises: VersionsInvalid where a type has no version, or an earlier one leads to no event.
    """
    readers: dict[str, Read] = {
        name: msgspec.json.Decoder(event).decode for name, event in events.items()
    }
    for name in events:
        if _VERSIONED.fullmatch(name) is None:
            raise VersionsInvalid(
                f"kind {kind}: the event type {name!r} has no version",
                remedy="end it in one: trade.opened.v1",
            )
    for name, upcaster in upcasters.items():
        if name in events:
            raise VersionsInvalid(
                f"kind {kind}: {name} is one of its events and an earlier version"
            )
        steps, later = [upcaster.step], upcaster.to
        _require_later(kind, name, later)
        while later not in events:
            following = upcasters.get(later)
            if following is None:
                raise VersionsInvalid(
                    f"kind {kind}: {name} leads to {later}, which is none of its events",
                    remedy="name the event, or the next earlier version, that it becomes",
                )
            _require_later(kind, later, following.to)
            steps.append(following.step)
            later = following.to
        readers[name] = _reader(msgspec.json.Decoder(upcaster.struct).decode, tuple(steps))
    return readers


def _reader(decode: Read, steps: tuple[Callable[[Any], Any], ...]) -> Read:
    def read(data: Any) -> Any:
        event = decode(data)
        for step in steps:
            event = step(event)
        return event

    return read


def _require_later(kind: str, name: str, later: str) -> None:
    """Versions only rise, so no chain of them comes back to itself."""
    here, there = _VERSIONED.fullmatch(name), _VERSIONED.fullmatch(later)
    if here is None or there is None or here["stem"] != there["stem"]:
        raise VersionsInvalid(
            f"kind {kind}: {name} and {later} are no versions of one event",
            remedy="name them alike but for their versions: trade.opened.v1, trade.opened.v2",
        )
    if int(here["version"]) >= int(there["version"]):
        raise VersionsInvalid(f"kind {kind}: {name} leads to {later}, which is no later version")
