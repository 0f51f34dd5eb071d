"""One record of what is validated, wherever it was read: memory, the log, the tables, or a file."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from schemas.domain import Kind
from schemas.tables import key_text

Fault: TypeAlias = Literal[
    "", "unreadable", "unknown_type", "lost", "broken_chain", "foreign", "forgotten", "orphan"
]
"""What is wrong with a record that cannot be read: its bytes or values, its type, the log before
it, its source; or that nobody reads what it is of; or that it belongs to nothing."""


class Record(NamedTuple):
    """A step (an event of the log, with the entity that it made) or an entity as it is at the end.

    The log gives its events as steps, in the order of each stream, then every entity once. Memory,
    tables and files give entities only. What cannot be read comes with `error`, and no entity.
    """

    place: str
    """Where it was read, for people: `partition 0, offset 12`, `table trades`, `line 7`."""
    kind: Kind | None
    """None where not even that could be told."""
    key: str
    """The entity's key as `schemas.tables.key_text` writes it; empty where it could not be told."""
    entity: Any = None
    event: Any = None
    """Of a step: the event."""
    before: Any = None
    """Of a step: the entity before the event; None for the first."""
    raw: bytes | None = None
    """The bytes that it was read from, where there are any."""
    error: str = ""
    """Why it could not be read."""
    fault: Fault = ""
    """Of what sort the error is."""

    @property
    def step(self) -> bool:
        """Whether it is an event; else it is an entity as it is at the end."""
        return self.event is not None


Add: TypeAlias = Callable[[Record], object]
"""Is given records, one by one."""


def key_writer(kind: Kind) -> Callable[[Any], str]:
    """Return the function that writes the key of an entity or event of a kind."""
    key_of = kind.key_getter()
    if len(kind.key) > 1:
        return lambda value: key_text(key_of(value))
    return lambda value: key_text((key_of(value),))
