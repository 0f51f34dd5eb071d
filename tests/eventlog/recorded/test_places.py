"""What belongs to a collection, what may be at several places, and what has left."""

from decimal import Decimal
from typing import Any

import pytest

from eventlog.recorded.refusals import OwnedElsewhere
from tests.eventlog.recorded.making import Book, stated
from tests.eventlog.recorded.types_in_use import (
    MUTABLE,
    TRADES,
    Fill,
    Quote,
    fill,
    trade,
)


@pytest.mark.parametrize("cls", MUTABLE)
def test_what_left_the_collection_is_an_object_like_any_other(book: Book, cls: type[Any]) -> None:
    trades = book.of(cls)
    trades["T-1"] = trade(cls)
    held = trades["T-1"]
    fills, first = held.fills, held.fills[0]
    del trades["T-1"]
    events = book.events

    held.quantity = 7
    fills.append(fill(7))
    first.quantity = 7
    del held.last

    assert (held.quantity, fills[-1], first.quantity) == (7, fill(7), 7)
    assert book.events == events


@pytest.mark.parametrize("cls", TRADES)
def test_nothing_is_kept_of_what_left(book: Book, cls: type[Any]) -> None:
    trades = book.of(cls)
    trades.update({name: trade(cls, name) for name in "ab"})
    owning = book.ferry.stores()["trade"]._collection.registry  # type: ignore[attr-defined]
    owned = len(owning.places)

    del trades["a"]
    trades["b"].fills.clear()
    del trades["b"].grid[0]
    trades.clear()

    assert owned == 8
    assert owning.places == {}


@pytest.mark.parametrize("cls", MUTABLE)
def test_what_left_may_come_back(book: Book, cls: type[Any]) -> None:
    trades = book.of(cls)
    trades["T-1"] = trade(cls)
    held = trades.pop("T-1")
    held.fills.append(fill(7))

    trades["T-1"] = held
    held.fills[-1].quantity = 8

    assert trades["T-1"] is held
    assert book.folded()["trade"] == stated(book, "trade", {"T-1": held})


def test_another_collection_may_change_within_a_change(book: Book) -> None:
    done, pending = book.ferry.list("done", int), book.ferry.list("pending", int)
    pending.extend([1, 2, 3])

    done.extend(pending.pop() for _ in range(2))

    assert (list(done), list(pending)) == ([3, 2], [1])


def test_the_same_entity_in_two_collections_is_refused(book: Book) -> None:
    first, second = book.ferry.list("first", Fill), book.ferry.list("second", Fill)
    one = fill()
    first.append(one)

    with pytest.raises(OwnedElsewhere, match="'first'"):
        second.append(one)

    assert list(second) == []


def test_what_cannot_change_may_be_at_many_places(book: Book) -> None:
    first, second = book.ferry.list("first", Quote), book.ferry.list("second", Quote)
    one = Quote("a", Decimal(1))

    first.extend([one, one])
    second.append(one)

    assert list(first) == [one, one]
    assert second[0] is one
