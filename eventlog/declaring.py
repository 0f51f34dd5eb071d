"""Kinds from entity types alone: declared in the app, published, and known to every projector."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from eventlog.outbox.contract import OutboxRow
from eventlog.recorder import Recorder
from eventlog.states import States
from eventlog.stores import FactStore
from schemas import envelope
from schemas.control import CONTROL_TYPE_OF, KindDeclared, decode_control
from schemas.derived.describe import describe
from schemas.derived.description import KindDescription
from schemas.derived.kind import kind_of
from schemas.domain import DomainInvalid, Kind
from schemas.errors import FerryError

T = TypeVar("T")
_DECLARED = CONTROL_TYPE_OF[KindDeclared]


class KindChanged(FerryError):
    """An entity type has other fields than the log knows of its kind."""


class EntityUnknown(FerryError):
    """A collection was asked for of a type that is no entity."""


class Declarations:
    """The derived kinds of one source: which the log knows, and which types are entities."""

    def __init__(self, ferry: Recorder, known: Sequence[KindDescription]) -> None:
        self._ferry = ferry
        self._known = {kind.name: kind for kind in known}
        self._entities: dict[type, tuple[str, tuple[str, ...]]] = {}

    def entity(self, cls: type, stream: str, key: tuple[str, ...]) -> None:
        """Note that a type is an entity: its kind's name, and its key; raises KindNotDerivable."""
        if self._hand_written(stream, cls) is None:
            describe(stream, cls, key=key)  # what cannot be derived is refused where it is written
        self._entities[cls] = (stream, key)

    def is_entity(self, cls: object) -> bool:
        """Say whether a type was noted as an entity."""
        return isinstance(cls, type) and cls in self._entities

    def _hand_written(self, name: str, cls: type) -> Kind | None:
        found = (k for k in self._ferry.domain.kinds if k.name == name and k.entity is cls)
        return next(found, None)

    def kind_of_entity(self, cls: type, table: str) -> Kind:
        """Return the kind of an entity type, declared under this table; raises EntityUnknown."""
        if cls not in self._entities:
            raise EntityUnknown(
                f"{getattr(cls, '__name__', cls)} is no entity",
                remedy="put @ferry.entity(stream=..., key=...) above its class",
            )
        name, key = self._entities[cls]
        hand_written = self._hand_written(name, cls)
        if hand_written is not None:
            return hand_written
        return self.declare(describe(name, cls, key=key, table=table), cls)

    def declare(self, description: KindDescription, cls: type | None = None) -> Kind:
        """Make a kind known to the shim and, before its first event, to the log.

        Raises: KindChanged where the log knows it with other columns, DomainInvalid where another
                kind has its name or table.
        """
        known = self._known.get(description.name)
        if known is not None and known != description:
            raise KindChanged(
                f"kind {description.name!r} was {_columns(known)}, now it is "
                f"{_columns(description)}",
                where=f"table {description.table}",
                remedy="give the changed type another stream and table, or write the kind by hand "
                "with both events (docs/domain.md)",
            )
        for other in self._known.values():
            if other.table == description.table and other.name != description.name:
                raise KindChanged(
                    f"table {description.table!r} is kind {other.name!r}'s in the log, it cannot "
                    f"be kind {description.name!r}'s",
                    where=f"table {description.table}",
                    remedy="give the collection another name: what the log holds of the first one "
                    "stays",
                )
        if any(kind.name == description.name for kind in self._ferry.domain.kinds):
            raise DomainInvalid(
                f"kind {description.name!r} is there already",
                where=f"domain {self._ferry.domain.name}",
                remedy="declare each kind once, and none of a hand-written one's name",
            )
        kind = kind_of(description, cls)
        self._ferry.add_kind(kind)
        if known is None:
            self._ferry.record_control(KindDeclared(self._ferry.source, description))
            self._known[description.name] = description
        return kind


def declared_in(rows: Sequence[OutboxRow]) -> list[KindDescription]:
    """Return the kinds declared by rows of an outbox's control lane."""
    found = []
    for row in rows:
        event = envelope.decode(row.event)
        if event.type == _DECLARED:
            control = decode_control(event.type, event.data)
            assert isinstance(control, KindDeclared)  # noqa: S101  (its type says so)
            found.append(control.kind)
    return found


def _columns(kind: KindDescription) -> str:
    columns = ", ".join(f"{c.name} {c.type}{'?' if c.nullable else ''}" for c in kind.columns)
    ring = ", a ring whose table keeps history" if kind.windowed else ""
    return f"{columns}, key {'/'.join(kind.key)}, table {kind.table}{ring}"


class Declaring(States):
    """The shim's part that makes kinds of types."""

    declarations: Declarations

    def entity(self, *, stream: str, key: str | Sequence[str]) -> Callable[[type[T]], type[T]]:
        """Mark a Struct, dataclass or attrs class as an entity: its stream's name, its key fields.

        Raises: KindNotDerivable, naming the field that no table can hold.
        """

        def mark(cls: type[T]) -> type[T]:
            self.declarations.entity(cls, stream, _names(key))
            return cls

        return mark

    def event(
        self, *, stream: str, key: str | Sequence[str], table: str | None = None
    ) -> Callable[[type[T]], type[T]]:
        """Mark a frozen Struct as a fact of its own: `record` it, its table has one row for each.

        Memory keeps none of it. The table's name is the stream's with an `s`, unless given.
        Raises: KindNotDerivable, KindChanged.
        """

        def mark(cls: type[T]) -> type[T]:
            description = describe(
                stream, cls, key=_names(key), table=table or f"{stream}s", windowed=True, facts=True
            )
            if not (issubclass(cls, msgspec.Struct) and cls.__struct_config__.frozen):
                raise EntityUnknown(
                    f"{cls.__name__} is no frozen Struct",
                    remedy="an event never changes: class X(msgspec.Struct, frozen=True)",
                )
            self.declarations.declare(description, cls)
            self.keep(FactStore(self.domain.kind(stream)))
            return cls

        return mark


def _names(key: str | Sequence[str]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)
