"""A capture that is refused sets memory back, or says that it differs."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventlog.capture import NotAMutator, NotWatched
from eventlog.entry import FerryClosed
from eventlog.recorded.refusals import KeyDiffers
from eventlog.stores import StoreRefused
from schemas.derived.describe import KindNotDerivable
from schemas.errors import FerryError
from schemas.validity import EventInvalid
from tests.eventlog.capturing.app import App, Balance, Order


def test_a_refused_capture_sets_memory_back(app: App) -> None:
    held, btc = app.balances["EUR"], app.balances["BTC"]

    with (
        pytest.raises(EventInvalid, match="Decimal") as refused,
        app.ferry.mutates("balances"),
    ):
        held.total = 1.5  # type: ignore[assignment]
        held.holds["x"] = Decimal(1)
        del app.balances["BTC"]
        app.balances["USD"] = Balance("USD", Decimal(1))

    assert "memory was set back" in refused.value.remedy
    assert app.balances == {"EUR": Balance("EUR", Decimal(100)), "BTC": btc}
    assert app.balances["EUR"] is held
    assert app.balances["BTC"] is btc
    assert app.book.events == 0
    assert app.ferry.uncaptured("balances") == []


def test_where_memory_cannot_be_set_back_the_next_capture_records_it(app: App) -> None:
    with app.ferry.mutates("orders"):
        app.orders[1] = Order(1, Decimal(0), lambda: None)

    with pytest.raises(EventInvalid) as refused, app.ferry.mutates("orders"):
        app.orders[1].filled = 1.5  # type: ignore[assignment]
    with app.ferry.mutates("orders"):
        app.orders[1].filled = Decimal(2)

    assert "memory differs from the log" in refused.value.remedy
    rows: dict[Any, Any] = app.book.folded()["order"]
    assert rows[1].filled == Decimal(2)


def test_a_closed_ferry_refuses_and_sets_memory_back(app: App) -> None:
    block = app.ferry.mutates("balances")
    with pytest.raises(FerryClosed), block:
        app.balances["EUR"].total = Decimal(1)
        app.book.close()

    assert app.balances["EUR"].total == Decimal(100)
    with pytest.raises(FerryClosed), app.ferry.mutates("balances"):
        app.balances["EUR"].total = Decimal(1)
    assert app.balances["EUR"].total == Decimal(100)


def test_a_state_that_cannot_be_read_is_refused_by_its_key(app: App) -> None:
    with pytest.raises(EventInvalid, match="7: the state of a str") as refused:  # noqa: SIM117
        with app.ferry.mutates("orders"):
            app.orders[7] = "no order"  # type: ignore[assignment]

    assert "state" in refused.value.remedy


def test_what_cannot_be_captured_is_refused_with_the_next_step(app: App) -> None:
    def generator() -> Iterator[int]:
        yield 1

    for refused, attempt in (
        (NotAMutator, lambda: app.ferry.mutates("balances")(generator)),
        (NotWatched, lambda: app.ferry.mutates("others")),
        (NotWatched, app.ferry.mutates),
        (NotWatched, lambda: app.ferry.mutates("balances", "orders", key="EUR")),
        (KindNotDerivable, lambda: app.ferry.watch("odd", {}, msgspec.defstruct(
            "Odd", [("a", bytearray)]))),
    ):  # fmt: skip
        with pytest.raises(FerryError) as error:
            attempt()
        assert isinstance(error.value, refused) or "Odd.a" in str(error.value)
        assert error.value.remedy


@pytest.mark.parametrize("key", [("EUR", "BTC"), 5, None, b"EUR", ["EUR"], frozenset(["EUR"])])
def test_what_is_no_key_is_refused_before_anything_runs(app: App, key: Any) -> None:
    @app.ferry.mutates("balances", key=lambda: key)
    def change() -> None:
        app.balances["EUR"].total = Decimal(7)

    with pytest.raises(KeyDiffers, match="is no key: keys are str"):
        change()

    assert app.balances["EUR"].total == Decimal(100)
    with pytest.raises(KeyDiffers), app.ferry.mutates("balances", keys=["EUR", key]):
        raise AssertionError("the block is not entered")


def test_what_is_no_dict_cannot_be_watched(app: App) -> None:
    watched: Any = [1]

    with pytest.raises(StoreRefused, match="a list cannot be watched as 'numbers'"):
        app.ferry.watch("numbers", watched, int)
