"""Barriers' sums of what was recorded in the app's own transactions."""

from collections.abc import Callable

import pytest

from tests.domains.ledger import Account
from tests.eventlog.app import account, closed, deposited, opened, readings, taken
from tests.eventlog.counted import Counted
from tests.eventlog.transactions.desk import Desk


def test_what_was_committed_is_counted_and_nothing_else(make_desk: Callable[..., Desk]) -> None:
    accounts: dict[str, Account] = {name: account(name) for name in "ab"}
    desk = make_desk(accounts=accounts, rings={"m": readings("m", 1, 2, 3)})
    sums = Counted(desk.ferry, desk.rows)
    first = sums.barrier().counting

    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(deposited("a", 1, 1))  # its first state goes before it
        changes.record(deposited("a", 2, 3))
        changes.record(opened("c"))
        changes.record(taken("m", 4))
    sums.barrier()
    with pytest.raises(LookupError), desk.ferry.transaction(desk.conn) as changes:
        changes.record(closed("a"))
        raise LookupError("the app's own")
    sums.barrier()
    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(closed("c"))
        changes.record(taken("m", 5))

    assert sums.barrier().counting == first
