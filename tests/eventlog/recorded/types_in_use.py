"""Entities of every sort that a collection takes, alike but for their class."""

import dataclasses
from decimal import Decimal
from typing import Any

import attrs
import msgspec


class Fill(msgspec.Struct):
    price: Decimal
    quantity: int


class StructTrade(msgspec.Struct):
    id: str
    quantity: int = 0
    fills: list[Fill] = []
    tags: dict[str, list[int]] = {}
    flags: set[str] = set()
    grid: list[list[int]] = []
    pair: tuple[list[int], int] = ([], 0)
    last: Fill | None = None


@dataclasses.dataclass
class DataTrade:
    id: str
    quantity: int = 0
    fills: list[Fill] = dataclasses.field(default_factory=list)
    tags: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    flags: set[str] = dataclasses.field(default_factory=set)
    grid: list[list[int]] = dataclasses.field(default_factory=list)
    pair: tuple[list[int], int] = dataclasses.field(default_factory=lambda: ([], 0))
    last: Fill | None = None


@dataclasses.dataclass(slots=True)
class SlotsTrade:
    id: str
    quantity: int = 0
    fills: list[Fill] = dataclasses.field(default_factory=list)
    tags: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    flags: set[str] = dataclasses.field(default_factory=set)
    grid: list[list[int]] = dataclasses.field(default_factory=list)
    pair: tuple[list[int], int] = dataclasses.field(default_factory=lambda: ([], 0))
    last: Fill | None = None


@attrs.define
class AttrsTrade:
    id: str
    quantity: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))
    fills: list[Fill] = attrs.Factory(list)
    tags: dict[str, list[int]] = attrs.Factory(dict)
    flags: set[str] = attrs.Factory(set)
    grid: list[list[int]] = attrs.Factory(list)
    pair: tuple[list[int], int] = attrs.Factory(lambda: ([], 0))
    last: Fill | None = None


class FrozenTrade(msgspec.Struct, frozen=True):
    id: str
    quantity: int = 0
    fills: list[Fill] = []
    tags: dict[str, list[int]] = {}
    flags: set[str] = set()
    grid: list[list[int]] = []
    pair: tuple[list[int], int] = ([], 0)
    last: Fill | None = None


@dataclasses.dataclass(frozen=True)
class FrozenData:
    id: str
    quantity: int = 0
    fills: list[Fill] = dataclasses.field(default_factory=list)
    tags: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    flags: set[str] = dataclasses.field(default_factory=set)
    grid: list[list[int]] = dataclasses.field(default_factory=list)
    pair: tuple[list[int], int] = dataclasses.field(default_factory=lambda: ([], 0))
    last: Fill | None = None


@attrs.frozen
class FrozenAttrs:
    id: str
    quantity: int = 0
    fills: list[Fill] = attrs.Factory(list)
    tags: dict[str, list[int]] = attrs.Factory(dict)
    flags: set[str] = attrs.Factory(set)
    grid: list[list[int]] = attrs.Factory(list)
    pair: tuple[list[int], int] = attrs.Factory(lambda: ([], 0))
    last: Fill | None = None


class Quote(msgspec.Struct, frozen=True):
    symbol: str
    bid: Decimal


MUTABLE: tuple[type[Any], ...] = (StructTrade, DataTrade, SlotsTrade, AttrsTrade)
TRADES: tuple[type[Any], ...] = (*MUTABLE, FrozenTrade, FrozenData, FrozenAttrs)


def fill(price: Any = 1, quantity: int = 1) -> Fill:
    return Fill(Decimal(price), quantity)


def trade(cls: type[Any], name: str = "T-1") -> Any:
    return cls(
        name,
        1,
        [fill(1), fill(2)],
        {"a": [1, 2], "b": []},
        {"x", "y"},
        [[1], [2, 3]],
        ([1], 2),
        fill(3),
    )
