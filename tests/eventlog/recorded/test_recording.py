"""How changes come into the log: units, streams, first snapshots, fences, restarts."""

import asyncio
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from eventlog.receipts import OutcomeUnknown
from eventlog.states import RemovalUnknown
from schemas.domain import Kind
from tests.eventlog.app import DEADLINE_S, refuse_commits
from tests.eventlog.recorded.making import Book, stated, values_logged
from tests.eventlog.recorded.types_in_use import Quote, StructTrade, fill, trade


def test_one_change_is_one_event_and_several_in_one_call_are_a_unit(book: Book) -> None:
    values = book.ferry.list("values", int)

    values.append(1)
    values.extend([2, 3])
    values.insert(1, 9)
    values.pop()

    stream = "values/values"
    assert book.units() == [[stream], [stream] * 2, [stream] * 3, [stream]]
    assert values_logged(book, "values") == [1, 9, 2]


def test_a_list_that_shrinks_ends_its_last_places(book: Book) -> None:
    values = book.ferry.list("values", Quote)
    values.extend([Quote("a", Decimal(1)), Quote("b", Decimal(2)), Quote("c", Decimal(3))])

    del values[0]

    rows = book.folded()["values"]
    assert sorted(rows) == [("values", 0), ("values", 1)]
    assert [rows[key].symbol for key in sorted(rows)] == ["b", "c"]  # type: ignore[attr-defined]


def test_a_change_in_the_middle_rewrites_only_what_differs(book: Book) -> None:
    values = book.ferry.list("values", int)
    values.extend([5, 5, 6, 7])
    events = book.events

    del values[0]

    assert book.events == events + 3  # places 1 and 2 have another value, 3 ended


def test_a_ring_keeps_its_history_in_the_table_and_its_items_in_memory(book: Book) -> None:
    ring = book.ferry.deque("ring", int, maxlen=2)

    for value in (5, 6, 7):
        ring.append(value)

    assert list(ring) == [6, 7]
    assert values_logged(book, "ring") == [5, 6, 7]
    assert book.ferry.domain.kind("ring").tables[0].windowed


def test_a_change_before_the_first_snapshot_records_the_state_before_it(book: Book) -> None:
    content = {"a": StructTrade("a"), "b": StructTrade("b")}
    trades = book.of(StructTrade, content=content)
    values = book.ferry.list("values", int, content=[1, 2])
    assert book.events == 0

    trades["a"].quantity = 7
    values.append(3)

    assert book.units() == [["trade/a"], ["trade/a"], *[["values/values"]] * 3]
    assert "b" not in book.folded()["trade"]
    book.ferry.snapshot()
    assert book.ferry.snapshot_done.wait(DEADLINE_S)
    assert book.folded()["trade"] == stated(book, "trade", trades)


def test_a_kind_without_an_end_refuses_a_removal(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["a"] = trade(StructTrade, "a")
    kind: Kind = book.ferry.stores()["trade"].kind
    object.__setattr__(kind, "removal", None)

    with pytest.raises(RemovalUnknown, match="no event that ends"):
        del trades["a"]

    assert list(trades) == ["a"]


def test_written_through_memory_changes_behind_the_disk_or_not_at_all(tmp_path: Path) -> None:
    book = Book(tmp_path / "outbox.db", write_through=True)
    trades, values = book.of(StructTrade), book.ferry.list("values", int)
    trades["a"] = held = trade(StructTrade, "a")
    values.append(1)
    assert book.ferry.stats()["queue_depth"] == 0
    refuse_commits(book.path)

    for change in (
        held.fills.clear,
        lambda: setattr(held, "quantity", 9),
        lambda: values.append(2),
        trades.clear,
    ):
        with pytest.raises(OutcomeUnknown, match="the disk is gone"):
            change()

    assert held == trade(StructTrade, "a")
    assert trades == {"a": held}
    assert values == [1]
    book.close()


@pytest.mark.parametrize("maxlen", [None, 4])
def test_threads_that_change_one_collection_lose_nothing(book: Book, maxlen: int | None) -> None:
    trades, ring = book.of(StructTrade), book.ferry.deque("ring", int, maxlen=maxlen)
    values = book.ferry.list("values", int)
    trades["a"] = StructTrade("a")
    start = threading.Barrier(4)

    def run(number: int) -> None:
        start.wait(DEADLINE_S)
        for n in range(25):
            trades["a"].fills.append(fill(n, number))
            trades["a"].tags.setdefault(str(number), []).append(n)
            ring.append(n)
            values.append(n)
            if n % 5 == 0:
                values.pop(0)
                ring.popleft()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    held = trades["a"]
    assert len(held.fills) == 100
    assert held.tags == {str(number): list(range(25)) for number in range(4)}
    assert len(values) == 80
    assert book.folded()["trade"] == stated(book, "trade", trades)
    assert values_logged(book, "values") == list(values)
    assert values_logged(book, "ring")[-len(ring) :] == list(ring)


async def test_coroutines_change_collections_and_await_the_disk(book: Book) -> None:
    values = book.ferry.list("values", int)

    async def run(number: int) -> None:
        for _ in range(10):
            await book.ferry.until_open()
            values.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(run, range(4)))
    await book.ferry.until_flushed(DEADLINE_S)

    assert sorted(values) == sorted(list(range(4)) * 10)
    assert book.ferry.stats()["queue_depth"] == 0
    assert values_logged(book, "values") == list(values)


def test_a_change_waits_for_a_fence_and_the_copy_at_its_barrier_has_none_of_it(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["a"] = StructTrade("a")
    held = trades["a"]
    book.ferry.fence.close("cutover", DEADLINE_S)
    barrier = book.ferry.place_barrier("b-1", "cutover")
    done = threading.Event()

    def change() -> None:
        held.quantity = 7
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    waits = not done.wait(0.05)
    seen = [entity.quantity for kind, copy in barrier.memory for entity in copy()]
    book.ferry.fence.open("cutover")
    thread.join(DEADLINE_S)

    assert waits
    assert seen == [0]
    assert held.quantity == 7
