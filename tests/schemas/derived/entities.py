"""Entity types as apps have them: a Struct, a dataclass, an attrs-like class of many types."""

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Literal

import msgspec


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


class Position(msgspec.Struct):
    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclasses.dataclass
class Fill:
    price: Decimal
    quantity: int


@dataclasses.dataclass
class Order:
    """One field of nearly every type that a table can hold."""

    order_id: int
    side: Side
    status: Literal["open", "done"]
    limit: Decimal | None
    rank: Annotated[int, msgspec.Meta(ge=1)]
    ratio: float
    active: bool
    placed_at: datetime.datetime
    day: datetime.date
    token: uuid.UUID
    fills: list[Fill]
    tags: set[str]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    counts: list[int] = dataclasses.field(default_factory=list)


class Trade(msgspec.Struct, frozen=True):
    trade_id: str
    symbol: str
    price: Decimal
    count: int = 0


def position(symbol: str = "BTC", quantity: str = "1") -> Position:
    return Position(symbol, Decimal(quantity), Decimal("42000.10"))


def order(order_id: int = 1) -> Order:
    return Order(
        order_id, Side.BUY, "open", Decimal("1.50"), 1, 0.1, True,
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC), datetime.date(2026, 1, 2),
        uuid.UUID(int=7), [Fill(Decimal("1.50"), 2)], {"b", "a"}, {"by": "ann"},
    )  # fmt: skip
