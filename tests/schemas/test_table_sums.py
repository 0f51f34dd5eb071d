"""Sums as they stand in the log: read back as they were, whatever they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digest import BUCKETS, MODULUS
from schemas.table_sums import Sums, TableSums, total

CHANGES = st.lists(
    st.tuples(
        st.integers(0, BUCKETS - 1), st.integers(-(2**130), 2**130), st.integers(-(2**40), 2**40)
    )
)


def sums_of(changes: list[tuple[int, int, int]]) -> Sums:
    sums = Sums()
    for bucket, digest, rows in changes:
        sums.add(bucket, digest, rows)
    return sums


@given(CHANGES, CHANGES)
def test_sums_are_read_back_as_they_were_written(
    history: list[tuple[int, int, int]], resident: list[tuple[int, int, int]]
) -> None:
    told = TableSums.of(sums_of(history), sums_of(resident))

    assert told.opened() == (sums_of(history), sums_of(resident))
    assert TableSums.of(sums_of(history)).opened() == (sums_of(history), sums_of(history))


@given(CHANGES)
def test_sums_that_are_equal_are_written_alike(changes: list[tuple[int, int, int]]) -> None:
    moved = [(bucket, digest + MODULUS, rows) for bucket, digest, rows in changes]

    assert sums_of(changes) == sums_of(moved)
    assert sums_of(changes).packed() == sums_of(moved).packed()


def test_where_nothing_changed_nothing_is_written() -> None:
    sums = Sums()
    sums.add(3, 5)
    sums.take(3, 5)

    assert TableSums.of(sums, Sums()) == TableSums("", "")
    assert TableSums("", "").opened() == (Sums(), Sums())


def test_bytes_of_another_size_are_no_sums() -> None:
    with pytest.raises(ValueError, match="sums take 768 bytes, not 3"):
        Sums.unpacked(b"abc")


@given(CHANGES, CHANGES)
def test_sums_are_added_and_taken_away(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    both = total([sums_of(one), sums_of(other)])

    assert both == sums_of(one + other)
    assert both - sums_of(other) == sums_of(one)
