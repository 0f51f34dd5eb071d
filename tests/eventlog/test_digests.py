"""The sums that barriers carry: of what was recorded before each, and of nothing else."""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.digests import WAITING_MOST
from eventlog.recorded.shapes import shape_of
from schemas.domain import TransitionRefused
from tests.domains.ledger import Account
from tests.eventlog.app import (
    DEADLINE_S,
    App,
    BusyDisk,
    account,
    closed,
    deposited,
    opened,
    readings,
    rows_of,
    taken,
)
from tests.eventlog.capturing.app import App as WatchedApp
from tests.eventlog.counted import Counted, fold, summed
from tests.eventlog.recorded.machine import Fill, Trade
from tests.eventlog.recorded.making import Book

MakeApp = Callable[..., App]
STEPS = st.lists(st.tuples(st.sampled_from("odcrRuxb"), st.integers(0, 5)), max_size=40)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "book.db")
    yield book
    book.close()


def counted(app: App) -> Counted:
    return Counted(app.ferry, lambda: rows_of(app.path))


class Walk:
    """An app that does what it is told, where its domain lets it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.counted = counted(app)
        self.number = 100

    def step(self, what: str, which: int) -> None:
        ferry, name = self.app.ferry, "abcdef"[which]
        match what:
            case "o":
                self._try(opened(name))
            case "d":
                self._deposit(name)
            case "c":
                self._try(closed(name))
            case "r":
                self._try(taken(name, self._next()))
            case "R":
                ferry.record_all([taken(name, self._next()) for _ in range(which)])
            case "u":
                self._try(opened(name), opened(f"{name}2"), taken(name, self._next()))
            case "x":
                streams = {"account": [f"account/{name}"], "reading": [f"reading/{name}"]}
                for kind, known in streams.items():
                    ferry.record_snapshot(kind, known)
            case "b":
                self.counted.barrier()

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _deposit(self, name: str) -> None:
        present = self.app.accounts.get(name)
        if present is not None:
            self._try(
                deposited(name, 1, present.balance + 1), deposited(name, 2, present.balance + 3)
            )

    def _try(self, *events: Any) -> None:
        try:
            if len(events) == 1:
                self.app.ferry.record(events[0])
            else:
                self.app.ferry.record_all(events)
        except TransitionRefused:
            pass


def held(names: str) -> tuple[dict[str, Account], "dict[str, deque[Any]]"]:
    """Return what memory holds before anything is recorded."""
    return {n: account(n, 7) for n in names}, {n: readings(n, 1, 2, 3, 4) for n in names}


@given(STEPS, st.sampled_from(["", "ab", "abcdef"]))
@settings(max_examples=60, deadline=None, database=None, derandomize=True,
          suppress_health_check=list(HealthCheck))  # fmt: skip
def test_the_sums_of_each_barrier_are_those_of_what_was_recorded_before_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], before: str
) -> None:
    accounts, rings = held(before)
    app = App(tmp_path_factory.mktemp("sums") / "outbox.db", accounts=accounts, rings=rings)
    for name in "abcdef":
        app.rings.setdefault(name, deque(maxlen=3))
    walk = Walk(app)
    for step in [*steps, ("b", 0)]:
        walk.step(*step)
    app.close()


@pytest.mark.parametrize("seed", range(4))
def test_changes_of_collections_are_counted_whatever_they_are(book: Book, seed: int) -> None:
    chance, ferry = random.Random(seed), book.ferry
    # What is there already is recorded before anything is counted.
    trades = book.of(Trade, content={key: Trade(key, 1, [Fill(1)]) for key in "ab"})
    fills = ferry.list("fills", Fill, content=[Fill(1), Fill(2)])
    ring = ferry.deque("ring", Fill, maxlen=4, content=[Fill(n) for n in range(3)])
    prices = ferry.dict("prices", list[int], content={"a": [1]})
    ferry.snapshot()
    assert ferry.snapshot_done.wait(DEADLINE_S)
    sums = Counted(ferry, lambda: rows_of(book.path))

    def change(fill: Fill) -> Fill:
        fill.quantity = chance.randrange(99)
        return fill

    changes: list[Callable[[], Any]] = [
        lambda: ring.append(Fill(chance.randrange(99))),
        lambda: ring.extend(Fill(n) for n in range(chance.randrange(7))),
        lambda: ring and ring.popleft(),
        lambda: ring and ring.pop(),
        lambda: ring.rotate(1),
        lambda: [change(ring[-1]) for _ in range(min(1, len(ring)))],
        lambda: ring and ring[0].legs.append(chance.randrange(99)),
        lambda: trades.update({key: Trade(key, 1) for key in chance.choices("abcd", k=2)}),
        lambda: trades.pop(chance.choice("abcd"), None),
        lambda: [t.fills.append(Fill(chance.randrange(9))) for t in list(trades.values())],
        lambda: fills.insert(0, Fill(chance.randrange(9))),
        lambda: fills and fills.pop(chance.randrange(len(fills))),
        lambda: [change(fills[-1]) for _ in range(min(1, len(fills)))],
        lambda: prices.setdefault(chance.choice("ab"), [1]).append(chance.randrange(9)),
    ]
    first = sums.barrier().counting

    for number in range(120):
        chance.choice(changes)()
        if number % 6 == 0:
            assert sums.barrier().counting == first

    ring.appendleft(Fill(1))
    ring.append(Fill(2))
    second = sums.barrier()
    assert second.counting != first
    assert "ring" not in {table for tables in second.sums.values() for table in tables}
    ring.appendleft(Fill(3))  # it spoils the sums of the others once
    ring.append(Fill(2))
    assert sums.barrier().counting == second.counting


def test_what_a_watched_container_has_recorded_is_counted_and_nothing_else(book: Book) -> None:
    app = WatchedApp(book)
    sums = Counted(app.ferry, lambda: rows_of(book.path))
    first = sums.barrier()
    app.deposit("EUR", 5)
    with app.ferry.mutates("balances"):
        del app.balances["BTC"]
        app.balances["EUR"].holds["x"] = Decimal("1.50")
    before = sums.barrier()

    app.balances["EUR"].total += 1  # nobody captured this

    assert app.ferry.place_barrier("b", "audit").sums == before.sums
    app.deposit("EUR", 5)  # now it is, with the rest
    assert sums.barrier().counting == first.counting


def test_sums_are_exact_however_threads_record_and_place_barriers(app: App) -> None:
    sums = counted(app)
    first = sums.barrier().counting

    def trade(name: str) -> None:
        for number in range(400):
            app.ferry.record(opened(f"{name}-{number}"))
            app.ferry.record_all([deposited(f"{name}-{number}", 1, 1), taken(name, number)])

    threads = [threading.Thread(target=trade, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sums.barrier()
    for thread in threads:
        thread.join()

    assert sums.barrier().counting == first
    assert sums.compared > 2


def test_what_waits_to_be_hashed_is_bounded(app: App) -> None:
    counted(app).barrier()
    count = app.ferry.digests.of(app.ferry.domain.kind("account"))
    assert count is not None
    most = 0
    with BusyDisk(app.path):  # the writing thread does not come to hash anything
        for number in range(4 * WAITING_MOST):
            app.ferry.record(opened(str(number)))
            most = max(most, len(count.pending))

    assert WAITING_MOST // 2 < most <= WAITING_MOST + 1


def test_facts_are_not_counted_for_nobody_remembers_their_keys(book: Book) -> None:
    class Alert(msgspec.Struct, frozen=True):
        number: int

    book.ferry.event(stream="alert", key="number")(Alert)
    trades = book.of(Trade)
    book.ferry.place_barrier("first", "audit")
    book.ferry.record(Alert(1))
    trades["a"] = Trade("a")

    barrier = book.ferry.place_barrier("second", "audit")

    assert {table for tables in barrier.sums.values() for table in tables} == {"trades"}


def test_an_entity_that_changes_later_is_counted_as_it_was_recorded(book: Book) -> None:
    trades = book.of(Trade, content={"a": Trade("a", 1)})
    sums = Counted(book.ferry, lambda: rows_of(book.path))
    sums.barrier()
    with book.ferry.digests._settling:  # nothing is hashed meanwhile
        trades["a"].quantity = 2
        shape = shape_of(Trade)
        assert shape is not None
        shape.set_field(trades["a"], "quantity", 3)  # past the shim
        found = msgspec.json.decode(rows_after_flush(book)[-1].event)["data"]["quantity"]

    assert found == 2
    recorded = book.ferry.place_barrier("b", "audit").sums
    tables = fold(rows_of(book.path), book.ferry.domain)
    for (partition, table), expected in summed(tables).items():
        assert recorded[partition][table].opened()[0] == expected


def rows_after_flush(book: Book) -> list[Any]:
    book.ferry.flush(DEADLINE_S)
    return rows_of(book.path)


def test_a_barrier_whose_sums_are_too_large_for_the_topic_goes_without(make_app: MakeApp) -> None:
    app = make_app(max_event_bytes=3_000)
    app.ferry.place_barrier("first", "audit")
    for number in range(60):
        app.ferry.record(opened(str(number)))
    app.ferry.record_all([taken(str(number), number) for number in range(60)])

    barrier = app.ferry.place_barrier("second", "audit")

    barrier.receipts[-1].durable(DEADLINE_S)
    assert (barrier.counting, barrier.sums) == ("", {})
    assert max(len(receipt.data) for receipt in barrier.receipts) < 1_000
