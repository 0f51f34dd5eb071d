"""Entities back from their rows, as declared or derived."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Struct

from schemas.domain import Kind
from schemas.entities import KindNotReadable
from schemas.tables import Row, Table
from tests.domains.ledger import ACCOUNT, READING, Account, Reading
from tests.schemas.test_domain import kind
from tests.schemas.trading.histories import time_of


class Colour(Enum):
    RED = "red"


class Leg(Struct, frozen=True):
    venue: str
    price: Decimal


class Order(Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=3)]
    colour: Colour
    legs: tuple[Leg, ...]
    fees: dict[str, Decimal]
    at: list[datetime]
    shares: dict[int, Annotated[str, msgspec.Meta(max_length=1)]]
    best: Leg | None = None


ORDERS = Table("orders", Order.__struct_fields__, ("name",))


def orders(**changes: Any) -> Kind:
    given: dict[str, Any] = {
        "name": "order", "entity": Order, "events": {"order.placed.v1": Order}, "key": ("name",),
        "stream": ("name",), "tables": (ORDERS,),
    }  # fmt: skip
    return kind(**given | changes)


def test_one_table_with_the_entitys_fields_needs_no_declaration() -> None:
    account = Account("a", "ann", Decimal("1.50"), time_of(1_000), {"k": "v"})
    reading = Reading("m", 1, Decimal(2))

    assert ACCOUNT.entities is READING.entities is None
    for known, entity in ((ACCOUNT, account), (READING, reading)):
        rows = {table.name: [row] for table, row in known.rows(entity)}
        assert known.entity_maker()(rows) == [entity]


def test_what_a_document_cannot_hold_is_made_again_as_declared() -> None:
    row: Row = (
        "a", "red", [{"venue": "x", "price": "1.10"}], {"clearing": "0.5"},
        ["2026-01-02T03:04:05.000006Z"], {"7": "x"}, None,
    )  # fmt: skip

    (order,) = orders().entity_maker()({"orders": [row]})

    at = msgspec.json.decode(b'"2026-01-02T03:04:05.000006Z"', type=datetime)
    legs = (Leg("x", Decimal("1.10")),)
    assert order == Order("a", Colour.RED, legs, {"clearing": Decimal("0.5")}, [at], {7: "x"})
    assert type(order.legs) is tuple


def test_what_memory_held_reads_back_whatever_its_constraints() -> None:
    row: Row = ("longer than three", "red", [], {}, [], {"1": "longer than one"}, None)

    (order,) = orders().entity_maker()({"orders": [row]})

    assert (order.name, order.shares) == ("longer than three", {1: "longer than one"})


def test_a_declared_function_is_taken_as_it_is() -> None:
    def entities(rows: Any) -> list[Any]:
        return [Order(*row) for row in rows["orders"]]

    assert orders(entities=entities).entity_maker() is entities


@pytest.mark.parametrize(
    "tables",
    [
        (),
        (ORDERS, Table("more", ("name",), ("name",))),
        (Table("orders", Order.__struct_fields__[:-1], ("name",)),),
        (Table("orders", Order.__struct_fields__[::-1], ("name",)),),
    ],
    ids=["no table", "two tables", "fewer columns", "another order"],
)
def test_what_cannot_be_derived_must_be_declared(tables: tuple[Table, ...]) -> None:
    with pytest.raises(KindNotReadable, match="kind 'order' cannot be read") as caught:
        orders(tables=tables).entity_maker()

    assert "declare `entities`" in caught.value.remedy
