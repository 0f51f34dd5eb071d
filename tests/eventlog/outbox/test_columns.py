"""Rows by column are the same rows."""

from eventlog.outbox.columns import NONE, columns_of
from eventlog.outbox.contract import OutboxRow

ROWS = [OutboxRow(n, n % 2, n, f"s/{n}", b"%d" % n) for n in range(1, 8)]


def test_columns_are_the_rows_they_were_made_of() -> None:
    assert columns_of(ROWS).as_rows() == ROWS
    assert columns_of([]) == NONE
    assert NONE.as_rows() == []


def test_the_first_rows_alone() -> None:
    assert columns_of(ROWS).first(3).as_rows() == ROWS[:3]
    assert columns_of(ROWS).first(99).as_rows() == ROWS


def test_rows_that_came_in_another_order_are_put_in_commit_order() -> None:
    assert columns_of(ROWS[::-1]).ordered().as_rows() == ROWS
    assert columns_of(ROWS).ordered().as_rows() == ROWS
