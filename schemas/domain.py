"""A domain's public interface: its kinds of in-memory data, and for each all that memferry needs.

A domain is one package with a module-level `DOMAIN`. The shipped one is `schemas.trading`; nothing
outside it (the sample app aside) knows what a trade is.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from schemas.derived.description import KindDescription
from schemas.entities import Entities, entities_of
from schemas.errors import FerryError
from schemas.rules import Rules, field_names
from schemas.tables import Change, Row, Table
from schemas.upcasting import Read, Upcaster, readers_of

EventType = type[msgspec.Struct]


class DomainInvalid(FerryError):
    """A domain's declaration contradicts itself."""


class TransitionRefused(FerryError):
    """An event may not follow the entity's present state; raised by a kind's `evolve`."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of in-memory data: its entity, events, stream, and four pure functions.

    Every event touches exactly one entity; `key` and `stream` are fields that the entity and each
    of its events have under the same name. All functions are pure: no clock, no I/O, no mutation of
    an argument. Entities are replaced, never changed in place, so a shallow copy of a store is a
    consistent snapshot of it.
    """

    name: str
    """First part of every stream of this kind, e.g. `trade` in `trade/T-17`."""
    entity: type[Any]
    """A frozen Struct: one entity's whole state. Of a derived kind it may also be a dataclass or
    attrs class, and mutable: what is kept of it is then its state-carrying event."""
    events: Mapping[str, EventType]
    """CloudEvents type with version → event Struct, the snapshot event included."""
    key: tuple[str, ...]
    """Fields that identify the entity in its store; a store's key is the value, or the tuple of
    values where there are several."""
    stream: tuple[str, ...]
    """Fields, a prefix of `key`, whose values joined by `/` name the stream."""
    evolve: Callable[[Any, Any], Any]
    """(entity or None, event) → entity, or None when it ends. Raises TransitionRefused."""
    project: Callable[[Any], tuple[Change, ...]]
    """event → what it does to the tables: the handler."""
    rows: Callable[[Any], tuple[tuple[Table, Row], ...]]
    """entity → its rows as the tables must hold them: what memory claims, for the audit."""
    snapshot: Callable[[Any], Any]
    """entity → the state-carrying event from which `evolve(None, event)` gives the same entity."""
    tables: tuple[Table, ...]
    """The first holds one row an entity; each further one has the kind's key among its columns."""
    entities: Entities | None = None
    """The inverse of `rows`, for reads from PostgreSQL: rows of whole entities, by table → those
    entities, in the order of the first table's rows. Derived where it is None and the kind has one
    table whose columns are the entity's fields in their order."""
    removal: Callable[[Any], Any] | None = None
    """entity → the event that ends it, where the kind has one that needs no more than its key."""
    description: KindDescription | None = None
    """Of a derived kind: what the control topic says of it."""
    ddl: str = ""
    """Of a derived kind: SQL that creates its table."""
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
    """CloudEvents type of each earlier version that the log may hold → how it is read."""

    def __post_init__(self) -> None:
        if self.stream != self.key[: len(self.stream)] or not self.stream:
            raise DomainInvalid(f"kind {self.name}: stream {self.stream} is no prefix of its key")
        structs = self.events.values() if self.description else (self.entity, *self.events.values())
        for struct in structs:
            missing = set(self.key) - set(struct.__struct_fields__)
            if missing:
                raise DomainInvalid(
                    f"kind {self.name}: {struct.__name__} lacks the key fields {sorted(missing)}"
                )

        readers_of(self.name, self.events, self.upcasters)

    def readers(self) -> dict[str, Read]:
        """Return how each type that was ever written of this kind is read, by CloudEvents type."""
        return readers_of(self.name, self.events, self.upcasters)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the entity's fields, in their order."""
        if self.description is not None:
            return tuple(column.name for column in self.description.columns)
        named: tuple[str, ...] = self.entity.__struct_fields__
        return named

    def key_getter(self) -> Callable[[Any], Any]:
        """Return a fast function: entity or event → the entity's key in its store."""
        return attrgetter(*self.key)

    def entity_maker(self) -> Entities:
        """Return the function of `entities`, declared or derived; raises KindNotReadable."""
        return entities_of(self.name, self.entity, self.tables, self.entities)

    def stream_getter(self) -> Callable[[Any], str]:
        """Return a fast function: entity or event → its stream, e.g. `trade/T-17`."""
        prefix = f"{self.name}/"
        if len(self.stream) == 1:
            one = attrgetter(self.stream[0])
            return lambda value: f"{prefix}{one(value)}"
        several = attrgetter(*self.stream)
        return lambda value: prefix + "/".join(map(str, several(value)))


class Reader(NamedTuple):
    """How an event type is read that was ever written; `read` gives the event as of today."""

    kind: Kind
    read: Read


@dataclass(frozen=True)
class Domain:
    """The kinds of one application, the DDL of their tables, and look-ups derived from both."""

    name: str
    kinds: tuple[Kind, ...]
    ddl: str
    """SQL that creates every table, view and index in the schema that `search_path` names first."""
    rules: Rules = field(default_factory=Rules)
    """What must hold of the data, beyond the types: see `schemas.rules`."""
    by_type: dict[str, tuple[Kind, EventType]] = field(init=False)
    """CloudEvents type → kind and event: those that are written today."""
    readers: dict[str, Reader] = field(init=False)
    """Likewise of every type that was ever written, earlier versions included."""
    type_of: dict[EventType, str] = field(init=False)
    kind_of: dict[EventType, Kind] = field(init=False)
    tables: dict[str, Table] = field(init=False)

    def __post_init__(self) -> None:
        by_type: dict[str, tuple[Kind, EventType]] = {}
        readers: dict[str, Reader] = {}
        tables: dict[str, Table] = {}
        for kind in self.kinds:
            for name, event in kind.events.items():
                if name in by_type or any(event is known for _, known in by_type.values()):
                    raise DomainInvalid(f"event {name} ({event.__name__}) is declared twice")
                by_type[name] = (kind, event)
            for name, read in kind.readers().items():
                if name in readers:
                    raise DomainInvalid(f"event {name} is declared by two kinds")
                readers[name] = Reader(kind, read)
            for table in kind.tables:
                if table.name in tables:
                    raise DomainInvalid(f"table {table.name} belongs to two kinds")
                tables[table.name] = table
            self._require_fields(kind)
        set_field = object.__setattr__  # a frozen dataclass fills its derived fields once
        set_field(self, "by_type", by_type)
        set_field(self, "readers", readers)
        set_field(self, "type_of", {event: name for name, (_, event) in by_type.items()})
        set_field(self, "kind_of", {event: kind for kind, event in by_type.values()})
        set_field(self, "tables", tables)

    def _require_fields(self, kind: Kind) -> None:
        known = {*kind.fields}.union(*(event.__struct_fields__ for event in kind.events.values()))
        for rule in self.rules.about(kind.name):
            missing = set(field_names(rule)) - known
            if missing:
                raise DomainInvalid(f"rule {rule.name}: {kind.name} has no {sorted(missing)}")

    def with_kinds(self, kinds: Iterable[Kind]) -> "Domain":
        """Return the domain with more kinds; a hand-written one of the same name stays."""
        present = {kind.name for kind in self.kinds}
        added = tuple(kind for kind in kinds if kind.name not in present)
        return replace(self, kinds=(*self.kinds, *added)) if added else self

    def kind(self, name: str) -> Kind:
        """Return a kind by name; raises DomainInvalid naming those there are."""
        for kind in self.kinds:
            if kind.name == name:
                return kind
        known = ", ".join(kind.name for kind in self.kinds)
        raise DomainInvalid(f"domain {self.name} has no kind {name!r}", remedy=f"it has: {known}")


DERIVED_ONLY = "app"
"""Name of the domain, and of its schema in PostgreSQL, where no kind is hand-written."""


def load_domain(module: str) -> Domain:
    """Import `module` and return its `DOMAIN`; without a name, a domain of no kinds yet.

    Raises: DomainInvalid where the module cannot be imported or has no `DOMAIN`.
    """
    if not module:
        return Domain(DERIVED_ONLY, (), "")
    remedy = "name an importable package with a module-level DOMAIN, e.g. schemas.trading"
    try:
        domain = getattr(importlib.import_module(module), "DOMAIN", None)
    except (ImportError, TypeError, ValueError) as error:  # the last two: no name, a relative one
        raise DomainInvalid(
            f"the domain {module!r} cannot be imported: {error}", remedy=remedy
        ) from error
    if not isinstance(domain, Domain):
        raise DomainInvalid(f"{module} has no DOMAIN of type schemas.domain.Domain", remedy=remedy)
    return domain
