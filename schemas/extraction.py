"""What is said of the data that an app holds: statistics of fields, and what looks wrong."""

import datetime
from typing import Any, Literal, TypeAlias

import msgspec

WarningKind: TypeAlias = Literal[
    "missing", "refused", "out_of_range", "duplicate", "orphaned", "stale", "unordered"
]
STALE_AFTER_S = 86_400.0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entities are meant, and what is wanted of them; empty means all."""

    kinds: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Patterns as of a shell, of which a key must match one: `T-1*`."""
    since: datetime.datetime | None = None
    """Inclusive, by the kind's time field."""
    until: datetime.datetime | None = None
    """Exclusive."""
    sample: int = 0
    """Entities of each kind to show."""
    stale_after_s: float = STALE_AFTER_S
    """How far behind a time may be before it is called stale."""


class FieldStatistics(msgspec.Struct, frozen=True):
    """One field over the entities selected; texts as the log has them: money, RFC 3339 times."""

    field: str
    count: int
    missing: int
    """None, or an empty text or container."""
    distinct: int
    exact: bool
    """Whether `distinct` was counted; else it is estimated, within some percent."""
    low: str | None = None
    high: str | None = None
    mean: str | None = None


class QualityWarning(msgspec.Struct, frozen=True):
    """Something that looks wrong, with the keys of a few entities that it was seen in."""

    what: WarningKind
    kind: str
    field: str
    count: int
    detail: str
    examples: list[str]


class KindStatistics(msgspec.Struct, frozen=True):
    """One kind's entities: how many, how many of them were selected, and what they hold."""

    kind: str
    entities: int
    selected: int
    time_field: str
    """Empty where the kind has no time."""
    fields: list[FieldStatistics]
    warnings: list[QualityWarning]
    sample: list[Any]
    """Entities as their state-carrying events."""
