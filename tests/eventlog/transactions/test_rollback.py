"""An outbox in PostgreSQL goes back, and so does what transactions of the app's own recorded."""

from collections.abc import Callable
from typing import Any

import pytest

from eventlog.rollback_commit import commit
from schemas.domain import TransitionRefused
from schemas.envelope import Context
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, account, deposited, opened
from tests.eventlog.rolling import (
    FENCE,
    ask,
    counting,
    fenced,
    go_back,
    here,
    ready,
    while_fenced,
)
from tests.eventlog.transactions.desk import Desk, in_postgres
from tests.eventlog.writer import Mutation


def test_a_transaction_that_waited_is_tried_on_the_state_that_it_finds(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk()
    desk.ferry.record_all([opened("a"), opened("b")])
    lanes = here(desk.ferry)
    desk.ferry.record(deposited("a", 5, 5))
    conns = [desk.connect(), desk.connect()]

    def order(conn: Any, name: str, *events: Any) -> list[Any]:
        with desk.ferry.transaction(conn) as changes:
            desk.order(conn, name)
            for event in events:
                changes.record(event)
        return changes.receipts

    question = ask(desk.ferry, lanes)
    assert ready(desk.ferry, question).streams == 1
    with fenced(desk.ferry, question.void):
        stale = Mutation(lambda: order(conns[0], "stale", deposited("a", 1, 6)))
        assert stale.still_waits()
        commit(desk.ferry, FENCE, question.void)
    with pytest.raises(TransitionRefused):
        stale.end()
    (good,) = while_fenced(
        desk.ferry, here(desk.ferry), lambda: order(conns[1], "good", deposited("b", 1, 1))
    )
    good.end()

    assert desk.accounts == {"a": account("a"), "b": account("b", 1)}
    assert desk.ordered() == {"good"}


def test_a_postgres_outbox_goes_back_and_its_commands_are_new(
    make_desk: Callable[..., Desk], settings: Settings
) -> None:
    given = in_postgres(settings)
    desk = make_desk(given)
    desk.ferry.record_all([opened("a"), opened("b")])
    lanes = here(desk.ferry)
    desk.ferry.record(deposited("a", 5, 5), context=Context(commandid="c-1"))
    with desk.ferry.transaction(desk.conn) as changes:
        changes.record(deposited("b", 5, 5))

    go_back(desk.ferry, lanes)

    assert desk.accounts == {"a": account("a"), "b": account("b")}
    desk.ferry.record(deposited("a", 5, 5), context=Context(commandid="c-1")).durable(DEADLINE_S)
    assert desk.accounts["a"] == account("a", 5)
    before = desk.memory()
    rows = desk.rows()
    desk.close()
    again = make_desk(given)
    assert again.memory() == before
    assert len(counting(rows)) < len(rows)
