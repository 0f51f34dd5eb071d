"""Collections as the shim sees them: brought back, folded, read, changed by events."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from eventlog.outbox.contract import OutboxRow
from eventlog.restart.fold import restore
from schemas import envelope
from tests.eventlog.app import DEADLINE_S, rows_of
from tests.eventlog.recorded.making import Book, stated
from tests.eventlog.recorded.types_in_use import Fill, StructTrade, fill, trade


def test_what_a_list_held_and_what_was_recorded_come_back_after_a_restart(book: Book) -> None:
    trades = book.of(StructTrade)
    values = book.ferry.list("values", Fill)
    named = book.ferry.dict("named", dict[str, int], key_type=int)
    trades.update({name: trade(StructTrade, name) for name in "abc"})
    del trades["b"]
    trades["a"].fills.clear()
    values.extend([fill(3), fill(1), fill(2)])
    values.sort(key=lambda one: one.price)
    values[0].quantity = 9
    named[1] = {"x": 1}
    named[-2] = {}
    named[1]["y"] = 2

    again = book.again()
    found = again.of(StructTrade)
    list_found = again.ferry.list("values", Fill)
    named_found = again.ferry.dict("named", dict[str, int], key_type=int)

    assert found == trades
    assert list(list_found) == list(values)
    assert named_found == named
    list_found[0].quantity = 10
    named_found[-2]["z"] = 3
    assert [row.quantity for row in again.folded()["values"].values()] == [10, 1, 1]  # type: ignore[attr-defined]
    again.close()


def test_an_event_recorded_of_such_a_kind_changes_the_collection(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["a"] = trade(StructTrade, "a")
    kind = book.ferry.domain.kind("trade")
    removed = kind.removal
    assert removed is not None

    trades["b"] = held = StructTrade("b", 4)
    book.ferry.record(kind.snapshot(StructTrade("b", 5, fills=[fill(1)])))
    held.fills.clear()
    book.ferry.record(removed(trades["a"]))
    held.quantity = 6

    assert trades == {"b": StructTrade("b", 6)}
    assert book.folded()["trade"] == stated(book, "trade", trades)


RING: list[Any] = [
    lambda ring: ring.extend(range(5)),
    lambda ring: ring.pop(),
    lambda ring: ring.appendleft(9),
    lambda ring: ring.append(8),
    lambda ring: ring.append(7),
    lambda ring: ring.popleft(),
    lambda ring: ring.rotate(1),
    lambda ring: ring.extend([1, 2, 3, 4]),
    lambda ring: ring.remove(2),
    lambda ring: ring.appendleft(9),
    lambda ring: ring.appendleft(8),
    lambda ring: ring.clear(),
    lambda ring: ring.append(6),
    lambda ring: ring.extendleft([4, 5, 7, 3]),
]


@pytest.mark.parametrize("maxlen", [None, 3])
def test_a_ring_folded_after_each_change_is_what_it_was(book: Book, maxlen: int | None) -> None:
    ring, plain = book.ferry.deque("ring", int, maxlen=maxlen), deque[int](maxlen=maxlen)

    for number, change in enumerate(RING):
        change(ring)
        change(plain)
        folded = book.ferry.deque(f"folded_{number}", int, maxlen=maxlen)
        book.ferry.flush(DEADLINE_S)
        restore(_renamed(book, "ring", f"folded_{number}"), book.ferry.stores()[f"folded_{number}"])

        assert list(ring) == list(plain)
        assert list(folded) == list(plain)


def _renamed(book: Book, name: str, other: str) -> Iterator[OutboxRow]:
    """Yield a kind's events as if they were another's."""
    for row in rows_of(book.path):
        if row.stream == f"{name}/{name}":
            event = row.event.replace(f"app.{name}.".encode(), f"app.{other}.".encode())
            yield row._replace(stream=f"{other}/{name}", event=event)


def test_a_ring_without_end_is_told_by_its_table_and_one_that_loses_items_is_not(
    book: Book,
) -> None:
    book.ferry.deque("ring", int, maxlen=3)
    endless = book.ferry.deque("endless", int)
    endless.extend([1, 2, 3])
    endless.popleft()
    endless.appendleft(5)
    again = book.ferry.deque("again", int)

    for key, row in sorted(book.folded()["endless"].items()):
        book.ferry.stores()["again"].put(key, row)

    assert list(again) == list(endless)
    assert [
        book.ferry.stores()[name].told_by_tables  # type: ignore[attr-defined]
        for name in ("ring", "endless")
    ] == [False, True]


def test_what_a_reader_gives_does_not_change_afterwards(book: Book) -> None:
    trades, fills = book.of(StructTrade), book.ferry.list("fills", Fill)
    trades["a"] = trade(StructTrade, "a")
    fills.append(fill(1))

    seen = book.ferry.reader("trade").get("a")
    trades["a"].fills.clear()
    events = book.events
    seen.quantity = 9
    seen.fills.append(fill(9))

    assert len(seen.fills) == 3
    assert trades["a"].quantity == 1
    assert book.events == events


def test_store_of_a_list_answers_by_place(book: Book) -> None:
    values = book.ferry.list("values", int)
    values.extend([5, 6])
    store = book.ferry.stores()["values"]

    assert store.get(("values", 1)).value == 6
    assert store.get(("values", 2)) is None
    assert store.get(("others", 1)) is None
    assert store.streams() == ["values/values"]
    assert [row.value for row in store.of_stream("values/values")] == [5, 6]
    assert store.of_stream("values/others") == []


def test_rows_of_a_list_may_come_in_any_order(book: Book) -> None:
    values = book.ferry.list("values", int)
    store = book.ferry.stores()["values"]
    made = [type(stated_row)("values", place, place) for place in range(4)] if (
        stated_row := book.ferry.domain.kind("values").entity("values", 0, 0)
    ) else []  # fmt: skip

    for place in (2, 0, 3, 1):
        store.put(("values", place), made[place])
    assert list(values) == [0, 1, 2, 3]

    store.put(("values", 1), None)
    assert list(values) == [0]
    store.put(("values", 1), made[1])
    assert list(values) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["list", "deque"])
def test_an_element_that_was_moved_is_recorded_where_it_is_now(book: Book, kind: str) -> None:
    values = getattr(book.ferry, kind)("values", Fill)
    values.extend([fill(1), fill(2), fill(3)])
    first, last = values[0], values[2]

    changes: list[Callable[[], Any]] = [
        lambda: values.insert(0, fill(0)),
        lambda: setattr(first, "quantity", 7),
        lambda: setattr(last, "quantity", 5),
        lambda: values.__delitem__(0),
        lambda: setattr(last, "quantity", 6),
        lambda: values.append(first),
        lambda: setattr(first, "quantity", 8),
        values.reverse,
        lambda: setattr(last, "quantity", 9),
    ]
    for change in changes:
        change()
        rows: list[Any] = [row for _, row in sorted(book.folded()["values"].items())]
        assert [(row.price, row.quantity) for row in rows] == [
            (one.price, one.quantity) for one in values
        ]
    assert [one.quantity for one in values] == [8, 9, 1, 8]


def test_a_walk_of_the_app_knows_the_collections_and_what_is_held_of_them(book: Book) -> None:
    trades, ring = book.of(StructTrade), book.ferry.deque("ring", Fill, maxlen=9)
    trades["a"] = trade(StructTrade, "a")
    ring.append(fill(1))

    class App:
        def __init__(self) -> None:
            self.trades = trades
            self.ring = ring
            self.unknown = {"b": StructTrade("b")}

    book.ferry.watch_app(App())

    unmapped = book.ferry.describe().walked.unmapped

    assert [one.path for one in unmapped] == ["app.unknown"]


def test_a_list_ends_from_its_last_place_on(book: Book) -> None:
    values = book.ferry.list("values", int)
    values.extend([1, 2, 3, 4])
    book.ferry.flush(DEADLINE_S)
    before = len(rows_of(book.path))

    del values[1:]
    book.ferry.flush(DEADLINE_S)

    ended = [envelope.decode(row.event).data for row in rows_of(book.path)[before:]]
    assert [msgspec.json.decode(data)["place"] for data in ended] == [3, 2, 1]
