"""What is said of a derived kind in the control topic: enough to project it without user code."""

from typing import Literal, TypeAlias

import msgspec

ColumnType: TypeAlias = Literal[
    "text", "integer", "decimal", "float", "boolean", "timestamp", "date", "document"
]
"""How a field is kept: integers have 64 bits, times are UTC to the microsecond, a document is what
has fields or items of its own, as JSON."""
EVENT_PREFIX = "app."
"""Types of derived kinds' events begin with it."""


class Column(msgspec.Struct, frozen=True):
    """One field of the entity, and the column of the same name."""

    name: str
    type: ColumnType
    nullable: bool = False


class KindDescription(msgspec.Struct, frozen=True):
    """A derived kind, complete: what memory holds, the table, and the events between them.

    `facts`: what is recorded is kept by the log and the table alone, memory has no store of it.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    stream: tuple[str, ...]
    windowed: bool = False
    facts: bool = False

    @property
    def stated(self) -> str:
        """The type of the event that carries an entity's whole state, or the fact."""
        return f"{EVENT_PREFIX}{self.name}.{'recorded' if self.facts else 'stated'}.v1"

    @property
    def removed(self) -> str:
        """The type of the event that ends an entity."""
        return f"{EVENT_PREFIX}{self.name}.removed.v1"
