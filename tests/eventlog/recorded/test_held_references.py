"""What is changed through a reference that the app holds is recorded, however deep it is."""

import bisect
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.eventlog.recorded.making import Book, stated, values_logged
from tests.eventlog.recorded.types_in_use import (
    MUTABLE,
    TRADES,
    StructTrade,
    fill,
    trade,
)


def _append_a_fill(t: Any) -> None:
    t.fills.append(fill(9))


def _change_a_fill(t: Any) -> None:
    t.fills[0].price = Decimal(9)


def _setdefault_and_append(t: Any) -> None:
    t.tags.setdefault("new", []).append(9)


def _append_within_a_list(t: Any) -> None:
    t.grid[1].append(9)


def _append_within_a_tuple(t: Any) -> None:
    t.pair[0].append(9)


def _change_a_nested_object(t: Any) -> None:
    t.last.quantity = 9


def _append_through_what_was_held_before(t: Any) -> None:
    held = t.tags["a"]
    t.tags["c"] = [1]
    held.append(9)


def _swap_two_lists(t: Any) -> None:
    held = t.grid[0]
    t.grid[0], t.grid[1] = t.grid[1], t.grid[0]
    held.append(9)


def _sort_and_change(t: Any) -> None:
    first = t.fills[0]
    t.fills.sort(key=lambda one: -one.price)
    first.quantity = 9


def _twice_in_a_list(t: Any) -> None:
    t.fills.append(t.fills[0])
    t.fills[0].quantity = 9


def _append_to_what_was_appended(t: Any) -> None:
    t.grid.append([])
    t.grid[-1].append(9)


def _or_in_place(t: Any) -> None:
    flags = t.flags
    flags |= {"z"}


DEEP: list[Callable[[Any], None]] = [
    _append_a_fill, _change_a_fill, _setdefault_and_append, _append_within_a_list,
    _append_within_a_tuple, _change_a_nested_object, _append_through_what_was_held_before,
    _swap_two_lists, _sort_and_change, _twice_in_a_list, _append_to_what_was_appended,
    _or_in_place,
]  # fmt: skip


def _assign(t: Any) -> None:
    t.quantity = 9


def _add_in_place(t: Any) -> None:
    t.fills += [fill(9)]
    t.flags |= {"z"}
    t.tags |= {"z": [9]}


def _replace_a_list(t: Any) -> None:
    t.fills = [fill(9)]
    t.fills.append(fill(8))


def _replace_an_object(t: Any) -> None:
    t.last = fill(9)
    t.last.quantity = 9


def _exchange_for_none(t: Any) -> None:
    t.last = None


def _replace_a_tuple(t: Any) -> None:
    t.pair = ([5], 5)
    t.pair[0].append(6)


SHALLOW: list[Callable[[Any], None]] = [
    _assign, _add_in_place, _replace_a_list, _replace_an_object, _exchange_for_none,
    _replace_a_tuple,
]  # fmt: skip
CASES = [(cls, change) for cls in TRADES for change in DEEP]
CASES += [(cls, change) for cls in MUTABLE for change in SHALLOW]


@pytest.fixture(scope="module")
def collections(shared: Book) -> dict[type[Any], Any]:
    """A recorded dict of each class."""
    return {cls: shared.of(cls, f"{cls.__name__.lower()}s") for cls in TRADES}


@pytest.mark.parametrize(
    ("cls", "change"), CASES, ids=lambda x: getattr(x, "__name__", str(x)).strip("_")
)
def test_a_change_is_recorded_and_does_what_it_does_to_a_plain_object(
    shared: Book,
    collections: dict[type[Any], Any],
    cls: type[Any],
    change: Callable[[Any], None],
) -> None:
    plain = trade(cls)
    trades = collections[cls]
    trades["T-1"] = trade(cls)
    held = trades["T-1"]
    before = shared.events

    change(plain)
    change(held)

    assert trades["T-1"] is held
    assert held == plain
    assert shared.events > before
    kind = cls.__name__.lower()
    assert shared.folded()[kind] == stated(shared, kind, {"T-1": plain})


@pytest.mark.parametrize("cls", TRADES)
def test_it_comes_back_equal_after_a_restart(book: Book, cls: type[Any]) -> None:
    trades = book.of(cls)
    trades["T-1"] = trade(cls)
    trades["T-1"].tags["a"].append(7)

    again = book.again()

    assert again.of(cls) == {"T-1": trades["T-1"]}
    again.close()


def test_writing_what_is_there_already_is_no_event(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["T-1"] = trade(StructTrade)
    held = trades["T-1"]
    events = book.events

    held.fills = held.fills
    trades["T-1"] = held
    held.fills[0] = held.fills[0]
    held.tags["a"] = held.tags["a"]

    assert book.events == events


def test_a_list_is_shuffled_and_sorted_in_by_the_library(book: Book) -> None:
    values, plain = book.ferry.list("values", int), [*range(9)]
    values.extend(plain)

    for each in (values, plain):
        random.Random(5).shuffle(each)
        each.sort()
        bisect.insort(each, 4)

    assert list(values) == plain
    assert values_logged(book, "values") == plain
