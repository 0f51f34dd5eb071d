"""Captures from threads and coroutines, under barriers, and across restarts."""

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.eventlog.app import DEADLINE_S
from tests.eventlog.capturing.app import App, Balance, Order


def test_threads_that_mutate_lose_nothing(app: App) -> None:
    def run() -> None:
        for _ in range(20):
            app.deposit("EUR", Decimal(1))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert app.balances["EUR"].total == Decimal(180)
    assert app.logged() == {"EUR": Decimal(180)}


async def test_a_coroutine_function_is_recorded_at_its_end_and_holds_no_lock(app: App) -> None:
    @app.ferry.mutates("balances", key=lambda symbol: symbol)
    async def trade(symbol: str) -> str:
        app.balances[symbol].total += 1
        await asyncio.sleep(0)
        app.balances[symbol].total += 1
        return symbol

    found = await asyncio.gather(*map(trade, ["EUR", "BTC", "EUR"]))
    await app.ferry.until_flushed(DEADLINE_S)

    assert found == ["EUR", "BTC", "EUR"]
    assert app.logged() == {"EUR": Decimal(104), "BTC": Decimal(102)}
    assert app.ferry.stores()["balance"].blocks == []  # type: ignore[attr-defined]


async def test_a_block_that_awaits_is_recorded_at_its_end(app: App) -> None:
    async def trade(symbol: str) -> str:
        async with app.ferry.mutates("balances", key=symbol) as block:
            app.balances[symbol].total += 1
            await asyncio.sleep(0)
            app.balances[symbol].total += 1
        await block.receipts[-1].until_durable(DEADLINE_S)
        return block.receipts[-1].stream

    streams = await asyncio.gather(*map(trade, ["EUR", "BTC"]))

    assert streams == ["balance/EUR", "balance/BTC"]
    assert app.logged() == {"EUR": Decimal(102), "BTC": Decimal(102)}


async def test_coroutines_that_take_turns_in_plain_blocks_lose_nothing(app: App) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def outer() -> None:
        with app.ferry.mutates("balances", key="EUR"):
            app.balances["EUR"].total += 1
            first.set()
            await second.wait()

    async def inner() -> None:
        await first.wait()
        with app.ferry.mutates("balances", key="BTC"):
            second.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            app.balances["BTC"].total += 1

    await asyncio.gather(outer(), inner())

    assert app.logged() == {"EUR": Decimal(101), "BTC": Decimal(101)}
    assert app.ferry.uncaptured("balances") == []
    assert app.ferry.stores()["balance"].blocks == []  # type: ignore[attr-defined]


async def test_a_cancelled_coroutine_is_recorded_as_far_as_it_came(app: App) -> None:
    begun = asyncio.Event()

    @app.ferry.mutates("balances")
    async def trade() -> None:
        app.balances["EUR"].total += 1
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(trade())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert app.logged() == {"EUR": Decimal(101)}


def test_a_barrier_within_a_block_has_none_of_it(app: App) -> None:
    with app.ferry.mutates("balances"):
        app.balances["EUR"].total = Decimal(1)
        barrier = app.ferry.place_barrier("b-1", "audit")
        (seen,) = [list(copy()) for kind, copy in barrier.memory if kind.name == "balance"]

    assert [one.total for one in seen] == [Decimal(100), Decimal(100)]


def test_after_a_restart_the_apps_dict_holds_what_the_log_says(app: App) -> None:
    with app.ferry.mutates("balances"):
        app.balances["EUR"].total = Decimal(7)
        del app.balances["BTC"]
    again = App(app.book.again())

    assert again.balances == {"EUR": Balance("EUR", Decimal(7))}
    again.book.close()


def test_what_a_state_function_looks_at_is_compared_after_a_restart(app: App) -> None:
    with app.ferry.mutates("orders"):
        app.orders[1] = Order(1, Decimal(0), lambda: None)
    again = App(app.book.again())

    assert again.orders == {}
    assert again.ferry.uncaptured("orders") == [1]
    with again.ferry.mutates("orders"):
        again.orders[1] = Order(1, Decimal(2), lambda: None)
    rows: dict[Any, Any] = again.book.folded()["order"]
    assert rows[1].filled == Decimal(2)
    again.book.close()
