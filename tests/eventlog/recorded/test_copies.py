"""A copy of a collection stays as it was, though its elements change in place under it."""

import gc
from typing import Any

from eventlog.recorded.copies import CHUNK_ELEMENTS
from tests.eventlog.recorded.making import Book
from tests.eventlog.recorded.types_in_use import Quote, StructTrade, fill, trade


def _copy(book: Book, kind: str) -> Any:
    with book.ferry.memory_lock:
        return book.ferry.stores()[kind].copy()


def test_it_holds_what_was_there_when_it_was_taken(book: Book) -> None:
    trades = book.of(StructTrade)
    for name in ("a", "b", "c", "d"):
        trades[name] = trade(StructTrade, name)
    before = {name: trade(StructTrade, name) for name in trades}
    gone = trades["b"]

    copy = _copy(book, "trade")
    trades["a"].fills[0].quantity = 9
    trades["a"].fills.append(fill(9))
    del trades["b"]
    gone.quantity = 9
    trades["c"] = StructTrade("c")
    trades["e"] = StructTrade("e")

    assert {entity.id: entity for entity in copy()} == before
    assert {entity.id: entity for entity in copy()} == before


def test_it_is_read_piece_by_piece_while_others_change_what_is_not_read_yet(book: Book) -> None:
    names = [f"t{n}" for n in range(CHUNK_ELEMENTS * 2)]
    trades = book.of(StructTrade)
    trades.update({name: StructTrade(name) for name in names})

    reading = _copy(book, "trade")()
    first = next(reading)
    for name in names:
        trades[name].quantity = 9

    assert [first, *reading] == [StructTrade(name) for name in names]
    assert all(one.quantity == 9 for one in trades.values())


def test_what_it_gives_is_unwatched(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["a"] = trade(StructTrade, "a")
    events = book.events

    (made,) = _copy(book, "trade")()
    made.quantity = 9
    made.fills.append(fill(9))
    made.fills[0].quantity = 9

    assert trades["a"] == trade(StructTrade, "a")
    assert book.events == events


def test_a_copy_of_a_list_and_of_a_ring_has_each_element_at_its_place(book: Book) -> None:
    values, ring = book.ferry.list("values", int), book.ferry.deque("ring", int, maxlen=2)
    values.extend([5, 6])
    ring.extend([5, 6, 7])

    copies = _copy(book, "values"), _copy(book, "ring")
    values.insert(0, 4)
    ring.append(8)

    assert [(row.place, row.value) for row in copies[0]()] == [(0, 5), (1, 6)]
    assert [(row.number, row.value) for row in copies[1]()] == [(1, 6), (2, 7)]


def test_it_costs_nothing_once_nobody_has_it(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["a"] = trade(StructTrade, "a")
    copy = _copy(book, "trade")
    saved = copy.before

    del copy
    gc.collect()
    trades["a"].quantity = 9

    assert saved == {}


def test_entities_that_cannot_change_are_given_as_they_are(book: Book) -> None:
    quotes = book.of(Quote, "quotes", "symbol")
    quotes["a"] = Quote("a", fill().price)

    assert next(_copy(book, "quote")()) is quotes["a"]
