"""Transactions that are open at once, others' events between, rollbacks and restarts, at random."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from eventlog.transaction import CallersTransaction
from schemas.domain import TransitionRefused
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, closed, deposited, opened, require_whole_lanes, taken
from tests.eventlog.transactions.desk import Desk, in_postgres

NAMES = "abcde"


class Open:
    """A transaction under way, and what it put into the app's own table."""

    def __init__(self, desk: Desk, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn
        self.entering: AbstractContextManager[CallersTransaction] = desk.ferry.transaction(conn)
        self.changes = self.entering.__enter__()
        self.orders: set[str] = set()


class Walk:
    """One app's life, beside what its own table must hold."""

    def __init__(self, make_desk: Callable[..., Desk], given: Settings, seed: int) -> None:
        self._make_desk, self._given = make_desk, given
        self.desk = make_desk(given)
        self.chance = random.Random(seed)
        self.open: list[Open] = []
        self.ordered: set[str] = set()
        self._numbers = iter(range(1_000_000))

    def step(self) -> None:
        match self.chance.randrange(10):
            case 0 | 1 if len(self.open) < 3:
                self.open.append(Open(self.desk, self.desk.connect()))
            case 2 | 3 if self.open:
                self._commit(self.open.pop(self.chance.randrange(len(self.open))))
            case 4 if self.open:
                self._roll_back(self.open.pop(self.chance.randrange(len(self.open))))
            case 5 if not self.open and self.chance.random() < 0.3:
                self.restart()
            case 6 | 7 | 8 if self.open:
                one = self.chance.choice(self.open)
                order = str(next(self._numbers))
                self.desk.order(one.conn, order)
                one.orders.add(order)
                self._try(one.changes.record)
            case _:
                self._try(self.desk.ferry.record)

    def _try(self, record: Callable[..., object]) -> None:
        name = self.chance.choice(NAMES)
        held = self.desk.accounts.get(name)
        events = [taken("m", next(self._numbers)), opened(name), closed(name)]
        if held is not None:
            events.append(deposited(name, 1, held.balance + Decimal(1)))
        try:
            record(self.chance.choice(events))
        except TransitionRefused:
            return

    def _commit(self, one: Open) -> None:
        before = self.desk.memory()
        try:
            one.entering.__exit__(None, None, None)
        except TransitionRefused:  # another was recorded since
            assert self.desk.memory() == before
        else:
            self.ordered |= one.orders

    def _roll_back(self, one: Open) -> None:
        before, error = self.desk.memory(), RuntimeError("the app's own")
        assert not one.entering.__exit__(RuntimeError, error, None)
        assert self.desk.memory() == before

    def restart(self) -> None:
        before = self.desk.memory()
        self.desk.close()
        self.desk = self._make_desk(self._given)
        assert self.desk.memory() == before

    def check(self) -> int:
        """Return how many events are durable."""
        desk = self.desk
        desk.ferry.durable.wait(desk.ferry.recorded_position(), DEADLINE_S)
        rows = desk.rows()
        require_whole_lanes(rows, desk.ferry.identity)
        assert desk.logged() == desk.memory()
        assert desk.ordered() == self.ordered
        return len(rows)


@pytest.mark.parametrize("seed", range(4))
def test_memory_rows_and_lanes_agree_whatever_commits_when(
    make_desk: Callable[..., Desk], settings: Settings, seed: int
) -> None:
    walk = Walk(make_desk, in_postgres(settings), seed)

    for _ in range(6):
        for _ in range(20):
            walk.step()
        events = walk.check()

    while walk.open:
        walk._roll_back(walk.open.pop())
    walk.restart()
    assert walk.check() == events > 20
