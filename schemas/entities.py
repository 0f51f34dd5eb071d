"""Entities back from their rows: the inverse of a kind's `rows`, derived where it can be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_type_hints

import msgspec
from msgspec import inspect

from schemas.errors import FerryError
from schemas.tables import Row, Table

Entities: TypeAlias = Callable[[Mapping[str, Sequence[Row]]], Sequence[Any]]
"""Rows of whole entities by table → those entities, in the order of the first table's rows."""


class KindNotReadable(FerryError):
    """A kind's entities cannot be made from the rows of its tables."""


def entities_of(
    kind: str, entity: type[msgspec.Struct], tables: Sequence[Table], declared: Entities | None
) -> Entities:
    """Return how a kind's entities are made from rows: as declared, or derived.

    It is derived where the kind has one table whose columns are the entity's fields in their order.
    Raises: KindNotReadable where it is neither declared nor to be derived.
    """
    if declared is not None:
        return declared
    if len(tables) != 1 or tables[0].columns != entity.__struct_fields__:
        names = ", ".join(table.name for table in tables) or "no table"
        raise KindNotReadable(
            f"kind {kind!r} cannot be read from PostgreSQL: nothing says how {entity.__name__} is "
            f"made from the rows of {names}",
            where=f"the Kind {kind!r} of the domain",
            remedy="declare `entities` in the Kind, the inverse of `rows`",
        )
    return _derived(entity, tables[0].name)


def _derived(entity: type[msgspec.Struct], table: str) -> Entities:
    info: Any = inspect.type_info(entity)
    hints = get_type_hints(entity)  # without their constraints: what memory held reads back
    mended = [
        (place, hints[field.name])
        for place, field in enumerate(info.fields)
        if not _is_as_stored(field.type)
    ]

    def make(row: Row) -> Any:
        values = list(row)
        for place, kind in mended:
            values[place] = msgspec.convert(values[place], kind, str_keys=True)
        return entity(*values)

    if not mended:
        return lambda rows: [entity(*row) for row in rows[table]]
    return lambda rows: [make(row) for row in rows[table]]


_SCALARS = (
    inspect.NoneType, inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BoolType,
    inspect.LiteralType, inspect.AnyType,
)  # fmt: skip


def _is_as_stored(kind: inspect.Type, *, in_document: bool = False) -> bool:
    """Say whether a column gives a value back as the field's type has it.

    A document (jsonb) knows texts, numbers, lists and dicts with texts for keys; what else a field
    declares within one (a Struct, a tuple, money) was made JSON on its way in.
    """
    match kind:
        case inspect.Metadata(type=inner):
            return _is_as_stored(inner, in_document=in_document)
        case inspect.UnionType(types=types):
            return all(_is_as_stored(one, in_document=in_document) for one in types)
        case inspect.DecimalType() | inspect.DateTimeType():
            return not in_document
        case inspect.ListType(item_type=item):
            return _is_as_stored(item, in_document=True)
        case inspect.DictType(key_type=key, value_type=value):
            keys = key.type if isinstance(key, inspect.Metadata) else key
            return isinstance(keys, inspect.StrType) and _is_as_stored(value, in_document=True)
        case _:
            return isinstance(kind, _SCALARS)
