"""What waited at a rollback's gate, or ran meanwhile: nothing made of the old state is kept."""

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventlog.entry import MemorySetBack
from eventlog.rollback import RollbackRefused
from eventlog.rollback_commit import commit
from tests.eventlog.app import DEADLINE_S
from tests.eventlog.capturing.app import App, Balance, Order
from tests.eventlog.recorded.making import Book
from tests.eventlog.rolling import FENCE, ask, fenced, here, ready, while_fenced
from tests.eventlog.writer import Mutation


class Trade(msgspec.Struct):
    id: str
    fills: list[int] = []
    name: str = ""


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "outbox.db")
    yield made
    made.close()


@pytest.fixture
def app(book: Book) -> App:
    """Its balances are in the log."""
    app = App(book)
    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    return app


def test_changes_of_recorded_collections_are_tried_on_what_they_find(book: Book) -> None:
    trades, numbers = book.of(Trade), book.ferry.list("numbers", int)
    trades["a"] = Trade("a", [1])
    numbers.extend([1, 2])
    lanes = here(book.ferry)
    held, fills = trades["a"], trades["a"].fills
    fills.append(2)
    trades["b"] = Trade("b")
    gone = trades["b"]
    numbers.extend([3, 4])

    def change() -> list[Any]:
        numbers.append(9)
        return []

    def rename() -> list[Any]:
        held.name = "new"
        return []

    def delete() -> list[Any]:
        trades.pop("b", None)
        return []

    def fill() -> list[Any]:
        fills.append(9)
        return []

    def fill_what_is_gone() -> list[Any]:
        gone.fills.append(9)
        return []

    changes = (change, rename, delete, fill, fill_what_is_gone)
    *tried, one, other = while_fenced(book.ferry, lanes, *changes)

    for mutation in tried:
        mutation.end()
    for mutation in (one, other):  # that list is nobody's any more, and what it got would be lost
        with pytest.raises(MemorySetBack, match="took this RecordedList away"):
            mutation.end()
    assert numbers == [1, 2, 9]
    assert trades == {"a": Trade("a", [1], "new")}
    assert trades["a"] is held
    book.ferry.flush(DEADLINE_S)
    again = book.again()
    assert again.of(Trade) == {"a": Trade("a", [1], "new")}
    assert again.ferry.list("numbers", int) == [1, 2, 9]
    again.close()


def test_collections_changed_between_preparing_and_fence_go_back_too(book: Book) -> None:
    trades, numbers, ring = (
        book.of(Trade), book.ferry.list("numbers", int), book.ferry.deque("ring", int, maxlen=3)
    )  # fmt: skip
    trades["a"] = Trade("a", [1])
    numbers.extend([1, 2])
    ring.extend(range(5))
    ring.clear()
    lanes = here(book.ferry)
    question = ask(book.ferry, lanes)
    ready(book.ferry, question)
    store: Any = book.ferry.stores()["ring"]
    first = store.first

    trades["a"].fills.append(2)
    trades["b"] = Trade("b")
    numbers.pop(0)
    ring.extend(range(9))
    with fenced(book.ferry, question.void):
        commit(book.ferry, FENCE, question.void)

    assert trades == {"a": Trade("a", [1])}
    assert numbers == [1, 2]
    assert (list(ring), store.first) == ([], first), "numbers of evicted items do not come again"


def test_a_captured_function_that_ran_on_the_old_state_is_refused_and_undone(app: App) -> None:
    app.deposit("EUR", Decimal(1))
    lanes = here(app.ferry)
    app.deposit("EUR", Decimal(10))

    def run() -> list[Any]:
        app.deposit("EUR", Decimal(5))
        return []

    (late,) = while_fenced(app.ferry, lanes, run)
    late.end()  # it had not begun: it waited before it looked

    assert app.balances["EUR"].total == Decimal(106)
    assert app.ferry.uncaptured("balances") == []


@pytest.mark.parametrize("key", ["EUR", None])
def test_a_block_that_memory_was_set_back_under_is_refused_and_undone(
    app: App, key: str | None
) -> None:
    lanes = here(app.ferry)
    app.deposit("EUR", Decimal(10))
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)
    inside, go_on = threading.Event(), threading.Event()

    def run() -> list[Any]:
        with app.ferry.mutates("balances", key=key):
            app.balances["EUR"].total += 5
            inside.set()
            assert go_on.wait(DEADLINE_S)
            app.balances["EUR"].total += 1
        return []

    running = Mutation(run)
    assert inside.wait(DEADLINE_S)
    with fenced(app.ferry, question.void):
        go_on.set()
        assert running.still_waits()
        commit(app.ferry, FENCE, question.void)

    with pytest.raises(MemorySetBack, match="set memory back"):
        running.end()
    assert app.balances == {
        "EUR": Balance("EUR", Decimal(100)),
        "BTC": Balance("BTC", Decimal(100)),
    }
    assert app.ferry.uncaptured("balances") == []
    app.deposit("EUR", Decimal(1))
    assert app.balances["EUR"].total == Decimal(101)


def test_a_block_of_other_entities_is_recorded(app: App) -> None:
    lanes = here(app.ferry)
    app.deposit("EUR", Decimal(10))
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    with app.ferry.mutates("balances", key="BTC"):
        app.balances["BTC"].total += 5
        committing = threading.Thread(target=_commit_fenced, args=(app, question.void))
        committing.start()
        committing.join()

    assert app.balances["EUR"].total == Decimal(100)
    assert app.balances["BTC"].total == Decimal(105)
    assert app.ferry.uncaptured("balances") == []


def _commit_fenced(app: App, void: str) -> None:
    with fenced(app.ferry, void):
        commit(app.ferry, FENCE, void)


async def test_a_block_that_awaits_is_refused_too(app: App) -> None:
    lanes = here(app.ferry)
    app.deposit("EUR", Decimal(10))
    question = ask(app.ferry, lanes)
    ready(app.ferry, question)

    with pytest.raises(MemorySetBack):
        async with app.ferry.mutates("balances", key="EUR"):
            app.balances["EUR"].total += 5
            await asyncio.to_thread(_commit_fenced, app, question.void)

    assert app.balances["EUR"].total == Decimal(100)


def test_containers_of_foreign_objects_are_refused(app: App) -> None:
    lanes = here(app.ferry)
    with app.ferry.mutates("orders", key=1):
        app.orders[1] = Order(1, Decimal(0), print)

    with pytest.raises(RollbackRefused, match="objects of the app's own"):
        ready(app.ferry, ask(app.ferry, lanes))

    assert ready(app.ferry, ask(app.ferry, lanes, streams=("balance/EUR",))).refused == []
