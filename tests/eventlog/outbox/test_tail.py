"""The newest rows that are kept in memory for the relay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.outbox.columns import Columns, columns_of
from eventlog.outbox.contract import OutboxRow
from eventlog.outbox.tail import Tail


def rows(first: int, count: int, size: int = 1) -> Columns:
    numbers = range(first, first + count)
    return columns_of([OutboxRow(n, 0, n, "account/a", b"x" * size) for n in numbers])


def numbers(found: Columns | None) -> list[int] | None:
    return None if found is None else list(found.rows)


def test_a_tail_that_holds_nothing_says_so() -> None:
    assert Tail().after(0, 10) is None


def test_rows_behind_a_row_are_given_up_to_a_limit() -> None:
    tail = Tail()
    tail.add(rows(1, 3))
    tail.add(rows(4, 3))

    assert numbers(tail.after(0, 10)) == [1, 2, 3, 4, 5, 6]
    assert numbers(tail.after(2, 3)) == [3, 4, 5]
    assert numbers(tail.after(6, 10)) == []


def test_rows_that_were_forgotten_are_not_passed_over() -> None:
    tail = Tail(limit=4)
    tail.add(rows(1, 3))
    tail.add(rows(4, 3))

    assert tail.after(2, 10) is None
    assert numbers(tail.after(3, 10)) == [4, 5, 6]


def test_a_tail_that_began_in_the_middle_does_not_pass_over_what_was_before() -> None:
    tail = Tail()
    tail.add(rows(100, 2))

    assert tail.after(98, 10) is None
    assert numbers(tail.after(99, 10)) == [100, 101]


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 20), st.data())
def test_a_tail_gives_exactly_what_follows_or_nothing(
    sizes: list[int], limit: int, data: st.DataObject
) -> None:
    tail = Tail(limit=limit)
    newest = 0
    for size in sizes:
        tail.add(rows(newest + 1, size))
        newest += size
        after = data.draw(st.integers(0, newest))
        count = data.draw(st.integers(1, 10))

        found = numbers(tail.after(after, count))

        wanted = list(range(after + 1, newest + 1))[:count]
        assert found is None or found == wanted
        assert found is not None or newest - after > limit - 9


@pytest.mark.parametrize(("size", "kept"), [(100, 200), (1_000_000, 10)])
def test_large_events_are_forgotten_sooner(size: int, kept: int) -> None:
    tail = Tail()

    for first in range(1, 200, 10):
        tail.add(rows(first, 10, size))

    assert numbers(tail.after(200 - kept, 1_000)) == list(range(201 - kept, 201))
    assert kept == 200 or tail.after(200 - kept - 1, 1_000) is None
