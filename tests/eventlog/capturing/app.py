"""An app of balances and orders that change in place, without events."""

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from tests.eventlog.recorded.making import Book


class Balance(msgspec.Struct):
    symbol: str
    total: Decimal
    holds: dict[str, Decimal] = {}


@dataclasses.dataclass
class Order:
    """A class of the app's own, of which memferry knows nothing."""

    number: int
    filled: Decimal
    callback: Callable[[], None]


class OrderState(msgspec.Struct, frozen=True):
    number: int
    filled: Decimal


class App:
    """Balances and orders that change in place, without events."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.ferry = book.ferry
        self.balances = {name: Balance(name, Decimal(100)) for name in ("EUR", "BTC")}
        self.orders: dict[int, Order] = {}
        self.ferry.entity(stream="balance", key="symbol")(Balance)
        self.ferry.entity(stream="order", key="number")(OrderState)
        self.ferry.watch("balances", self.balances, Balance)
        self.ferry.watch(
            "orders", self.orders, OrderState, state=lambda one: OrderState(one.number, one.filled)
        )
        self.deposit = self.ferry.mutates("balances", key=lambda symbol, amount: symbol)(
            self._deposit
        )

    def _deposit(self, symbol: str, amount: Any) -> Decimal:
        self.balances[symbol].total += amount
        return self.balances[symbol].total

    def logged(self) -> dict[str, Decimal]:
        rows: dict[Any, Any] = self.book.folded()["balance"]
        return {key: row.total for key, row in rows.items()}
