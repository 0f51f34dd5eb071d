"""Capture around the app's own code: functions and blocks, over containers left as they are."""

from decimal import Decimal
from typing import Any

import pytest

from tests.eventlog.app import DEADLINE_S
from tests.eventlog.capturing.app import App, Balance, Order
from tests.eventlog.recorded.making import Book, stated


def test_a_decorated_function_is_recorded_by_what_it_changed(app: App) -> None:
    returned = app.deposit("EUR", Decimal(5))

    assert returned == Decimal(105)
    assert app.book.units() == [["balance/EUR"], ["balance/EUR"]]  # its first snapshot before it
    assert app.logged() == {"EUR": Decimal(105)}


def test_a_function_that_changed_nothing_records_nothing(app: App) -> None:
    app.deposit("EUR", Decimal(0))
    app.ferry.mutates("balances")(lambda: None)()

    assert app.book.events == 0


def test_a_block_is_one_unit_over_all_it_names(app: App) -> None:
    with app.ferry.mutates("balances", "orders") as block:
        app.balances["EUR"].total -= 10
        app.balances["BTC"].holds["O-1"] = Decimal(1)
        app.orders[1] = Order(1, Decimal(0), lambda: None)
        app.balances["USD"] = Balance("USD", Decimal(1))

    assert len(block.receipts) == 4
    block.receipts[-1].durable(DEADLINE_S)
    assert sorted(app.book.units()[-1]) == [
        "balance/BTC", "balance/EUR", "balance/USD", "order/1",
    ]  # fmt: skip
    assert app.book.folded()["balance"] == stated(app.book, "balance", app.balances)


def test_objects_of_foreign_classes_are_recorded_by_their_state(app: App) -> None:
    with app.ferry.mutates("orders"):
        app.orders[1] = Order(1, Decimal(0), lambda: None)
        app.orders[2] = Order(2, Decimal(0), lambda: None)
    with app.ferry.mutates("orders", key=1):
        app.orders[1].filled = Decimal(3)
    with app.ferry.mutates("orders"):
        del app.orders[2]

    rows: dict[Any, Any] = app.book.folded()["order"]
    assert {key: row.filled for key, row in rows.items()} == {1: Decimal(3)}


def test_only_the_keys_that_are_named_are_looked_at(app: App) -> None:
    with app.ferry.mutates("balances", keys=["EUR"]):
        app.balances["EUR"].total = Decimal(1)
        app.balances["BTC"].total = Decimal(1)

    assert "BTC" not in app.logged()
    assert app.ferry.uncaptured("balances") == ["BTC"]


def test_a_mutator_that_nobody_decorated_is_found(app: App) -> None:
    app.balances["EUR"].total = Decimal(7)
    del app.balances["BTC"]
    with app.ferry.memory_lock:
        copy = app.ferry.stores()["balance"].copy()

    assert app.ferry.uncaptured("balances") == ["EUR", "BTC"]
    assert [(one.symbol, one.total) for one in copy()] == [("EUR", Decimal(7))]
    with app.ferry.mutates("balances"):
        pass
    assert app.ferry.uncaptured("balances") == []
    assert app.logged() == {"EUR": Decimal(7)}


def test_what_a_block_changed_before_it_raised_is_recorded_and_the_exception_goes_on(
    app: App,
) -> None:
    def fail() -> None:
        app.balances["EUR"].total = Decimal(7)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        app.ferry.mutates("balances")(fail)()

    assert app.logged() == {"EUR": Decimal(7)}


def test_a_block_within_another_is_part_of_it(app: App) -> None:
    with app.ferry.mutates("orders") as outer:
        app.orders[1] = Order(1, Decimal(0), lambda: None)
        app.deposit("EUR", Decimal(1))
        before = app.book.events
        app.deposit("EUR", Decimal(1))

    assert before == 0
    assert [receipt.stream for receipt in outer.receipts] == ["order/1", "balance/EUR"]
    assert app.logged() == {"EUR": Decimal(102)}


def test_a_function_may_say_what_there_is(book: Book) -> None:
    prices = [Decimal(1), Decimal(2)]
    book.ferry.watch("prices", lambda: dict(enumerate(prices)), Decimal, key_type=int)

    with book.ferry.mutates("prices"):
        prices.append(Decimal(3))
        prices[0] = Decimal(9)

    rows: dict[Any, Any] = book.folded()["prices"]
    assert {key: row.value for key, row in rows.items()} == {0: Decimal(9), 2: Decimal(3)}
