"""An entity type read as a description, and the types of which nobody can say how to keep them."""

import dataclasses
from array import array
from typing import Any

import msgspec
import pytest

from schemas.derived.describe import KindNotDerivable, describe
from schemas.derived.description import Column, KindDescription
from tests.schemas.derived.entities import Order, Position

Numbers: Any = array
Fields = list[tuple[str, Any]]


def of(fields: Fields) -> type:
    return dataclasses.make_dataclass("Thing", fields)


def test_a_struct_gives_a_column_for_each_field() -> None:
    description = describe("position", Position, key=("symbol",), table="positions")

    assert description == KindDescription(
        "position",
        "positions",
        (
            Column("symbol", "text"),
            Column("quantity", "decimal"),
            Column("average_price", "decimal"),
        ),
        ("symbol",),
        ("symbol",),
    )


def test_every_type_has_its_column() -> None:
    description = describe("order", Order, key=("order_id",))

    assert {column.name: (column.type, column.nullable) for column in description.columns} == {
        "order_id": ("integer", False),
        "side": ("text", False),
        "status": ("text", False),
        "limit": ("decimal", True),
        "rank": ("integer", False),
        "ratio": ("float", False),
        "active": ("boolean", False),
        "placed_at": ("timestamp", False),
        "day": ("date", False),
        "token": ("text", False),
        "fills": ("document", False),
        "tags": ("document", False),
        "notes": ("document", False),
        "counts": ("document", False),
    }
    assert description.table == "order"


def test_a_description_is_the_same_after_the_log() -> None:
    description = describe("order", Order, key=("order_id",), windowed=True)

    read = msgspec.json.decode(msgspec.json.encode(description), type=KindDescription)

    assert read == description


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ([("key", str), ("content", Any)], "Thing.content is of any type"),
        ([("key", str), ("content", Numbers)], "Thing.content is array"),
        ([("key", str), ("content", list[Numbers])], r"Thing.content\[\] is array"),
        ([("key", str), ("content", dict[str, Any])], r"Thing.content\[\] is of any type"),
        ([("key", str), ("content", bytearray)], "Thing.content"),
        ([("key", str), ("content", "Unheard")], "cannot be read"),
        ([], "has no declared fields"),
    ],
)
def test_what_no_table_can_hold_is_refused_by_name(fields: Fields, named: str) -> None:
    with pytest.raises(KindNotDerivable, match=named):
        describe("thing", of(fields), key=("key",))


@pytest.mark.parametrize(
    ("key", "stream", "named"),
    [
        (("nothing",), None, "'nothing' is no key: there is no such field"),
        (("ratio",), None, "'ratio' is no key: it is kept as float"),
        (("limit",), None, "'limit' is no key: it may be None"),
        ((), None, "no beginning of the key"),
        (("order_id", "status"), ("status",), "no beginning of the key"),
    ],
)
def test_a_key_that_names_nothing_for_certain_is_refused(
    key: tuple[str, ...], stream: tuple[str, ...] | None, named: str
) -> None:
    with pytest.raises(KindNotDerivable, match=named):
        describe("order", Order, key=key, stream=stream)


def test_a_key_that_may_be_missing_is_refused() -> None:
    with pytest.raises(KindNotDerivable, match="'key' is no key: it may be None"):
        describe("thing", of([("key", str | None)]), key=("key",))


@pytest.mark.parametrize("name", ["", "Order", "1st", "a b", "x" * 56, 'a"b'])
def test_a_name_that_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(KindNotDerivable, match="cannot name a kind or table"):
        describe(name, Position, key=("symbol",))


def test_a_tagged_struct_is_refused() -> None:
    class Tagged(msgspec.Struct, tag=True):
        key: str

    with pytest.raises(KindNotDerivable, match="is a tagged Struct"):
        describe("thing", Tagged, key=("key",))


def test_a_type_that_holds_itself_is_described() -> None:
    class Node(msgspec.Struct):
        key: str
        parts: list["Node"]

    # A local class has no importable name, so its annotation cannot be resolved.
    with pytest.raises(KindNotDerivable, match="cannot be read"):
        describe("node", Node, key=("key",))
    description = describe("tree", Tree, key=("name",))

    assert description.columns[1] == Column("branches", "document")


class Tree(msgspec.Struct):
    name: str
    branches: list["Tree"]
