"""What a class does of its own: defaults, converters, properties, methods, subclasses, copies."""

import copy
import dataclasses
import json
import pickle
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
import pytest

from eventlog.recorded.hooks import hook
from eventlog.recorded.places import Registry
from tests.eventlog.recorded.making import Book, stated
from tests.eventlog.recorded.types_in_use import (
    MUTABLE,
    DataTrade,
    FrozenTrade,
    StructTrade,
    fill,
    trade,
)


def test_an_attribute_that_is_no_field_is_not_recorded(book: Book) -> None:
    @dataclasses.dataclass
    class Order:
        id: str
        quantity: int

        @property
        def double(self) -> int:
            return self.quantity * 2

        @double.setter
        def double(self, value: int) -> None:
            self.quantity = value // 2

    orders = book.of(Order, "orders")
    orders["O"] = Order("O", 1)
    orders["O"].cache = 5
    events = book.events

    orders["O"].double = 8

    assert (orders["O"].quantity, orders["O"].cache) == (4, 5)
    assert book.events == events + 1


def test_deleting_an_attribute_that_has_a_default_of_its_class_is_recorded(book: Book) -> None:
    @dataclasses.dataclass
    class Order:
        id: str
        quantity: int = 3

    orders = book.of(Order, "orders")
    orders["O"] = Order("O", 1)

    del orders["O"].quantity

    assert orders["O"].quantity == 3
    assert book.folded()["order"] == stated(book, "order", {"O": Order("O", 3)})


def test_what_a_class_does_to_a_value_is_what_is_recorded(book: Book) -> None:
    @attrs.define
    class Order:
        id: str
        quantity: int = attrs.field(converter=int)

    orders = book.of(Order, "orders")
    orders["O"] = Order("O", 1)

    orders["O"].quantity = "7"

    assert orders["O"].quantity == 7
    assert book.folded()["order"] == stated(book, "order", {"O": Order("O", 7)})


def test_what_a_class_refuses_is_not_recorded(book: Book) -> None:
    trades = book.of(MUTABLE[-1])
    trades["T-1"] = trade(MUTABLE[-1])
    events = book.events

    with pytest.raises(TypeError):
        trades["T-1"].quantity = "many"

    assert trades["T-1"].quantity == 1
    assert book.events == events


def test_a_method_of_the_entity_is_recorded_as_what_it_writes(book: Book) -> None:
    class Order(msgspec.Struct):
        id: str
        quantity: int
        log: list[int] = []

        def add(self, more: int) -> None:
            self.quantity += more
            self.log.append(more)

    orders = book.of(Order, "orders")
    orders["O"] = Order("O", 1)

    orders["O"].add(4)

    assert book.folded()["order"] == stated(book, "order", {"O": Order("O", 5, [4])})


def test_a_named_tuple_keeps_its_class_and_its_lists_are_watched(book: Book) -> None:
    class Side(NamedTuple):
        prices: list[int]
        name: str

    class Ladder(msgspec.Struct):
        id: str
        side: Side

    ladders = book.of(Ladder, "ladders")
    ladders["L"] = Ladder("L", Side([1], "bid"))

    ladders["L"].side.prices.append(2)

    assert ladders["L"].side == Side([1, 2], "bid")
    assert type(ladders["L"].side) is Side
    assert book.folded()["ladder"] == stated(
        book, "ladder", {"L": Ladder("L", Side([1, 2], "bid"))}
    )


def test_a_frozen_entity_is_replaced_by_one_that_shares_its_values(book: Book) -> None:
    trades = book.of(FrozenTrade)
    trades["T-1"] = trade(FrozenTrade)
    kept = trades["T-1"].fills[0]

    trades["T-1"] = msgspec.structs.replace(trades["T-1"], quantity=7)
    trades["T-1"].fills[0].quantity = 8
    kept.quantity = 9

    assert trades["T-1"].fills[0] is kept
    expected = stated(book, "trade", {"T-1": trades["T-1"]})
    assert book.folded()["trade"] == expected
    assert (trades["T-1"].quantity, kept.quantity) == (7, 9)


def test_copies_of_an_entity_are_plain(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["T-1"] = trade(StructTrade)
    events = book.events

    pickled = pickle.loads(pickle.dumps(trades["T-1"]))  # noqa: S301
    for made in (copy.deepcopy(trades["T-1"]), pickled):
        made.quantity = 9
        made.fills.append(fill(9))
        made.fills[0].quantity = 9
        made.tags["a"].append(9)
        assert type(made.fills) is list
        assert type(made.tags["a"]) is list
        assert type(made.flags) is set

    assert trades["T-1"] == trade(StructTrade)
    assert book.events == events


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    value: T


class Market(msgspec.Struct, tag="market"):
    sizes: list[int]


class Limit(msgspec.Struct, tag="limit"):
    price: int


class Node(msgspec.Struct):
    id: str
    box: Box[list[int]]
    order: Market | Limit
    inner: list["Node"] = []
    levels: dict[Decimal, list[int]] = {}


def test_generic_tagged_and_recursive_types_are_watched_to_the_bottom(book: Book) -> None:
    def node(name: str) -> Node:
        return Node(name, Box([1]), Market([1]))

    nodes, plain = book.of(Node, "nodes"), node("a")
    nodes["a"] = node("a")
    both: list[Any] = [nodes["a"], plain]

    for each in both:
        each.inner.append(node("b"))
        each.inner[0].order.sizes.append(3)
        each.inner[0].order = Limit(4)
        each.inner[0].order.price = 5
        each.levels.setdefault(Decimal("1.5"), []).append(6)
        each.inner[0].box.value.append(2)

    assert nodes["a"] == plain
    assert book.folded()["node"] == stated(book, "node", {"a": plain})


def test_what_the_library_makes_of_an_entity_is_what_it_makes_of_a_plain_one(book: Book) -> None:
    plain = trade(DataTrade)
    trades = book.of(DataTrade)
    trades["T-1"] = trade(DataTrade)
    held = trades["T-1"]
    events = book.events

    assert dataclasses.asdict(held) == dataclasses.asdict(plain)
    assert dataclasses.replace(held, quantity=9) == dataclasses.replace(plain, quantity=9)
    assert repr(held) == repr(plain)
    assert json.dumps(held.tags) == json.dumps(plain.tags)
    assert msgspec.to_builtins(held) == msgspec.to_builtins(plain)
    assert book.events == events


def test_a_subclass_of_a_watched_class_is_hooked_once() -> None:
    class Base(msgspec.Struct):
        a: int

    class Derived(Base):
        b: int

    registry = Registry()
    hook(Base, registry)
    hook(Derived, registry)
    made = Derived(1, 2)

    made.a = 3

    assert (made.a, made.b) == (3, 2)
    original = Derived.__setattr__.memferry_original  # type: ignore[attr-defined]
    assert not hasattr(original, "memferry_original")
