"""memferry in that app: what its exchange keeps in memory goes to the log, its code unchanged.

basana has no events for its balances, and its orders are objects of its own classes, so state is
compared around each of the three calls that change it: the lines that adoption costs are `adopt`.
"""

import datetime
from decimal import Decimal

import msgspec
from basana.backtesting.exchange import Exchange
from basana.backtesting.orders import Order

from eventlog.shim import Ferry

CASH = "USD"


class Filled(msgspec.Struct, frozen=True):
    """One fill of an order."""

    when: datetime.datetime
    price: Decimal
    balances: dict[str, Decimal]
    fees: dict[str, Decimal]


class OrderState(msgspec.Struct, frozen=True):
    """What basana knows of an order."""

    order_id: str
    symbol: str
    operation: str
    state: str
    amount: Decimal
    filled: Decimal
    fills: list[Filled]


class Balance(msgspec.Struct, frozen=True):
    """What the account has of a currency."""

    symbol: str
    total: Decimal
    on_hold: Decimal
    borrowed: Decimal


class Position(msgspec.Struct, frozen=True):
    """What the account has of a share, and what its fills brought to that."""

    symbol: str
    quantity: Decimal
    traded: Decimal


def order_state(order: Order) -> OrderState:
    """Return the state of one of basana's orders."""
    fills = [
        Filled(fill.when, fill.price, dict(fill.balance_updates), dict(fill.fees))
        for fill in order.fills
    ]
    return OrderState(
        order.id, order.pair.base_symbol, order.operation.name, order.state.name, order.amount,
        order.amount_filled, fills,
    )  # fmt: skip


def balances_of(exchange: Exchange) -> dict[str, Balance]:
    """Return the account's cash now."""
    account = exchange._balances
    return {
        symbol: Balance(
            symbol, account.balances[symbol], account.get_balance_on_hold(symbol),
            account.get_borrowed_balance(symbol),
        )
        for symbol in account.get_symbols() if symbol == CASH
    }  # fmt: skip


def positions_of(exchange: Exchange) -> dict[str, Position]:
    """Return the account's shares now."""
    traded: dict[str, Decimal] = {}
    for order in exchange._order_mgr.get_all_orders():
        symbol = order.pair.base_symbol
        traded[symbol] = traded.get(symbol, Decimal(0)) + order.amount_filled
    account = exchange._balances
    return {
        symbol: Position(symbol, account.balances[symbol], traded.get(symbol, Decimal(0)))
        for symbol in account.get_symbols() if symbol != CASH and symbol in account.balances
    }  # fmt: skip


def adopt(ferry: Ferry, exchange: Exchange) -> None:
    """Record what the exchange keeps, and every change of it."""
    manager = exchange._order_mgr
    ferry.entity(stream="order", key="order_id")(OrderState)
    ferry.entity(stream="balance", key="symbol")(Balance)
    ferry.entity(stream="position", key="symbol")(Position)
    ferry.watch("orders", manager._orders._items, OrderState, state=order_state)
    ferry.watch("balances", lambda: balances_of(exchange), Balance)
    ferry.watch("positions", lambda: positions_of(exchange), Position)
    for name in ("add_order", "cancel_order", "on_bar_event"):
        recorded = ferry.mutates("orders", "balances", "positions")
        setattr(manager, name, recorded(getattr(manager, name)))
