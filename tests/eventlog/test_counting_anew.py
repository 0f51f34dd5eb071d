"""When an app no longer knows what stood in the log before a change, its sums begin anew."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.domains.ledger import ReadingSnapshotted
from tests.eventlog.app import DEADLINE_S, App, account, deposited, opened, rows_of, taken
from tests.eventlog.counted import Counted
from tests.eventlog.recorded.machine import Fill, Trade
from tests.eventlog.recorded.making import Book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "book.db")
    yield book
    book.close()


def counted(app: App) -> Counted:
    return Counted(app.ferry, lambda: rows_of(app.path))


def test_a_state_that_came_late_begins_a_new_count(app: App) -> None:
    sums = counted(app)
    first = sums.barrier()
    app.ferry.record_all([taken("m", number) for number in range(5)])
    assert sums.barrier().counting == first.counting

    app.ferry.record(ReadingSnapshotted("m", 1, Decimal(3)))  # 1 is evicted, and in the table

    second = sums.barrier()
    assert second.counting != first.counting
    app.ferry.record(taken("m", 9))
    assert sums.barrier().counting == second.counting


def test_a_repair_of_what_changed_unrecorded_begins_a_new_count(app: App) -> None:
    sums = counted(app)
    app.ferry.record(opened("a"))
    first = sums.barrier()
    app.accounts["a"] = account("a", 5)  # nobody recorded this

    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    app.ferry.snapshot()
    assert app.ferry.snapshot_done.wait(DEADLINE_S)

    second = sums.barrier()
    assert second.counting != first.counting
    app.ferry.record(deposited("a", 1, 6))
    assert sums.barrier().counting == second.counting


def test_a_container_that_is_registered_later_begins_a_new_count(book: Book) -> None:
    trades = book.of(Trade)
    sums = Counted(book.ferry, lambda: rows_of(book.path))
    first = sums.barrier()
    trades["a"] = Trade("a")

    ring = book.ferry.deque("ring", Fill, maxlen=4)

    ring.append(Fill(1))
    second = sums.barrier()
    assert second.counting != first.counting
    ring.extend(Fill(n) for n in range(9))
    assert sums.barrier().counting == second.counting


def test_rows_that_cannot_be_digested_do_no_harm(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    sums = counted(app)
    first = sums.barrier()
    count = app.ferry.digests.of(app.ferry.domain.kind("account"))
    assert count is not None

    def broken(_: Any) -> Any:
        raise LookupError("the domain's own")

    count._rows = broken
    app.ferry.record(opened("a")).durable(DEADLINE_S)

    barrier = sums.barrier()

    assert "rows of kind account cannot be digested" in caplog.text
    assert barrier.counting != first.counting
    told = [one for tables in barrier.sums.values() for one in tables.values()]
    assert not any(one.history or one.resident for one in told)
    app.ferry.record(opened("b"))
    assert sums.barrier().counting == barrier.counting
