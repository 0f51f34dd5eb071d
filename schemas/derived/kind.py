"""A description made a kind: its events, and the four pure functions that every kind has.

The projector makes it from the description alone. In the app the entity type is the user's own;
what differs is only how entities become events and come back.
"""

import datetime
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.derived.ddl import ddl_of
from schemas.derived.describe import describe, fields_of
from schemas.derived.description import Column, ColumnType, KindDescription
from schemas.derived.freezing import Freezer, require_numeric
from schemas.domain import Kind
from schemas.tables import Change, Delete, Row, Table, Upsert
from schemas.validity import EventInvalid

_TYPES: dict[ColumnType, Any] = {
    "text": Annotated[str, Meta(pattern="^[^\u0000]*$")],
    "integer": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    "decimal": Decimal,
    "float": float,
    "boolean": bool,
    "timestamp": Annotated[datetime.datetime, Meta(tz=True)],
    "date": datetime.date,
    "document": Any,
}
"""What the columns' types take, and no more: text without NUL, integers of 64 bits."""
_KEY_TEXT = Annotated[str, Meta(pattern="^[^\u0000]*$", max_length=512)]
"""An index holds a row of some 2,700 bytes at most."""
Make = Callable[[Any], Any]


def kind_of(description: KindDescription, entity: type | None = None) -> Kind:
    """Return the kind of a description; `entity` is the app's own type, where this is the app."""
    if description.facts:
        return _facts(description, entity)
    stated, removed = _stated(description), _removed(description)
    table = _table(description)
    if entity is None:
        own = _entity(description)
        snapshot: Make = _copier(own, stated)
        thaw: Make = _copier(stated, own)
    else:
        own = entity
        snapshot, thaw = Freezer(description, entity, stated).freeze, _thawer(entity, stated)

    def evolve(_: Any, event: Any) -> Any:
        return None if type(event) is removed else thaw(event)

    key_of = attrgetter(*description.key)
    one_key = len(description.key) == 1

    def project(event: Any) -> tuple[Change, ...]:
        if type(event) is removed:
            key = key_of(event)
            return (Delete(table, (key,) if one_key else key),)
        return (Upsert(table, msgspec.structs.astuple(event)),)

    decode = msgspec.json.Decoder(stated).decode

    def rows(value: Any) -> tuple[tuple[Table, Row], ...]:
        # By way of the log's own encoding: a field's value is then what a column gives back.
        event = decode(msgspec.json.encode(snapshot(value)))
        return ((table, msgspec.structs.astuple(event)),)

    return Kind(
        name=description.name,
        entity=own,
        events={description.stated: stated, description.removed: removed},
        key=description.key,
        stream=description.stream,
        evolve=evolve,
        project=project,
        rows=rows,
        snapshot=snapshot,
        tables=(table,),
        entities=lambda found: [thaw(stated(*row)) for row in found[table.name]],
        removal=lambda entity: removed(*(getattr(entity, name) for name in description.key)),
        description=description,
        ddl=ddl_of(description),
    )


def derive_kind(
    name: str,
    entity: type,
    *,
    key: Sequence[str],
    stream: Sequence[str] | None = None,
    table: str | None = None,
    windowed: bool = False,
) -> Kind:
    """Return the kind of the app's own entity type; raises KindNotDerivable, naming the field."""
    description = describe(name, entity, key=key, stream=stream, table=table, windowed=windowed)
    return kind_of(description, entity)


def _facts(description: KindDescription, entity: type | None) -> Kind:
    """Return a kind whose event is its entity: a fact, which no later event changes."""
    stated = _stated(description)
    own: Any = entity or stated
    table = _table(description)
    decode = msgspec.json.Decoder(stated).decode

    def rows(fact: Any) -> tuple[tuple[Table, Row], ...]:
        event = decode(msgspec.json.encode(fact))
        return ((table, msgspec.structs.astuple(event)),)

    def evolve(_: Any, fact: Any) -> Any:
        if own is not stated:
            _refuse_unkeepable(fact, decode)
        return fact

    return Kind(
        name=description.name,
        entity=own,
        events={description.stated: own},
        key=description.key,
        stream=description.stream,
        evolve=evolve,
        project=lambda fact: (Upsert(table, rows(fact)[0][1]),),
        rows=rows,
        snapshot=lambda fact: fact,
        tables=(table,),
        entities=lambda found: [_converted(row, own) for row in found[table.name]],
        description=description,
        ddl=ddl_of(description),
    )


def _thawer(entity: type, stated: type) -> Make:
    """Return how the app's own entity is made from an event."""
    names = [(field.name, field.encode_name) for field in fields_of(entity)]
    get = attrgetter(*(name for name, _ in names))
    single = len(names) == 1

    def thaw(event: Any) -> Any:
        values = (get(event),) if single else get(event)
        found = {encoded: value for (_, encoded), value in zip(names, values, strict=True)}
        return msgspec.convert(found, entity, str_keys=True)

    return thaw


def _copier(source: type, target: type) -> Make:
    return lambda value: target(*msgspec.structs.astuple(value))


def _converted(row: Row, own: Any) -> Any:
    names = [field.encode_name for field in fields_of(own)]
    return msgspec.convert(dict(zip(names, row, strict=True)), own, str_keys=True)


def _refuse_unkeepable(fact: Any, decode: Callable[[bytes], Any]) -> None:
    """Refuse a fact that its own type allows and no column takes."""
    for name in fact.__struct_fields__:
        require_numeric(getattr(fact, name), f"{type(fact).__name__}.{name}")
    data = msgspec.json.encode(fact)
    try:
        msgspec.msgpack.encode(decode(data))  # refuses integers of more than 64 bits within
    except (msgspec.MsgspecError, OverflowError) as error:
        raise EventInvalid(
            f"{type(fact).__name__} cannot be kept: {error}",
            remedy="integers have 64 bits, text has no NUL character",
        ) from error


def _fields(description: KindDescription) -> list[tuple[str, Any]]:
    return [(c.name, _type_of(c, c.name in description.key)) for c in description.columns]


def _type_of(column: Column, in_key: bool) -> Any:
    kind = _KEY_TEXT if in_key and column.type == "text" else _TYPES[column.type]
    return kind | None if column.nullable else kind


@cache
def _stated(description: KindDescription) -> type[msgspec.Struct]:
    name = f"{_class_name(description)}{'Recorded' if description.facts else 'Stated'}"
    return msgspec.defstruct(name, _fields(description), frozen=True, gc=_nested(description))


@cache
def _removed(description: KindDescription) -> type[msgspec.Struct]:
    fields = [(c.name, _type_of(c, True)) for c in description.columns if c.name in description.key]
    fields.sort(key=lambda field: description.key.index(field[0]))
    return msgspec.defstruct(f"{_class_name(description)}Removed", fields, frozen=True, gc=False)


@cache
def _entity(description: KindDescription) -> type[msgspec.Struct]:
    return msgspec.defstruct(_class_name(description), _fields(description), frozen=True)


def _nested(description: KindDescription) -> bool:
    return any(column.type == "document" for column in description.columns)


def _class_name(description: KindDescription) -> str:
    return "".join(part.capitalize() for part in description.name.split("_"))


def _table(description: KindDescription) -> Table:
    names = tuple(column.name for column in description.columns)
    return Table(description.table, names, description.key, windowed=description.windowed)
