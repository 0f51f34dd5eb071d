"""`applied` ends early, with the reason, where nothing will bring the event into the tables."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from eventlog.receipts import (
    AppliedEnded,
    AppliedHeld,
    AppliedStopped,
    Receipt,
    ReceiptTimeout,
)
from projector.checkpoint import claim, stop_partition
from projector.control_tables import set_state
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, READING
from tests.eventlog.app import DEADLINE_S, deposited, opened, taken
from tests.eventlog.attached import Attached
from tests.eventlog.writer import IN_EFFECT_S, Writer
from tests.projector.app import accounts_in
from tests.projector.projecting import projecting
from tests.projector.waiting import until

Database = psycopg.Connection[Any]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def wait_until_applied(receipt: Receipt) -> None:
    asyncio.run(receipt.until_applied(DEADLINE_S))


def waits(threads: ThreadPoolExecutor, receipt: Receipt) -> "list[Future[None]]":
    """A thread and an event loop wait for a receipt; they do not get it by themselves."""
    waiting = [
        threads.submit(receipt.applied, DEADLINE_S),
        threads.submit(wait_until_applied, receipt),
    ]
    with pytest.raises(TimeoutError):
        waiting[0].result(IN_EFFECT_S)
    return waiting


def ends_at_once(receipt: Receipt, kind: type[AppliedEnded], said: str) -> None:
    for wait in (receipt.applied, lambda t: asyncio.run(receipt.until_applied(t))):
        with pytest.raises(kind, match=said) as caught:
            wait(DEADLINE_S)
        assert caught.value.where
        assert caught.value.remedy


@pytest.mark.parametrize(("state", "reason"), [("held", "replayed to 0:1"), ("rebuilding", "")])
def test_who_waits_is_told_that_the_projection_does_not_go_on(
    writer: Writer, database: Database, threads: ThreadPoolExecutor, state: Any, reason: str
) -> None:
    receipt = writer.ferry.record(opened("a"))
    waiting = waits(threads, receipt)

    set_state(database, writer.projection, state, reason)

    for one in waiting:
        with pytest.raises(AppliedHeld, match=f"is {state}.*{reason}"):
            one.result(DEADLINE_S)
    ends_at_once(writer.ferry.record(opened("b")), AppliedHeld, f"is {state}")
    with pytest.raises(AppliedHeld):
        writer.ferry.applied_through(writer.ferry.recorded_position(), range(3), DEADLINE_S)


def test_once_it_is_live_again_waits_wait_and_are_kept(
    writer: Writer, database: Database, threads: ThreadPoolExecutor
) -> None:
    receipt = writer.ferry.record(opened("a"))
    set_state(database, writer.projection, "held", "a look back")
    with pytest.raises(AppliedHeld):
        receipt.applied(DEADLINE_S)

    set_state(database, writer.projection, "live", "")

    until(lambda: not held(receipt), "waits that wait")
    waiting = waits(threads, receipt)
    writer.apply()
    for one in waiting:
        one.result(DEADLINE_S)


def held(receipt: Receipt) -> bool:
    try:
        receipt.applied(0)
    except AppliedHeld:
        return True
    except ReceiptTimeout:
        return False
    raise AssertionError("nothing was applied yet")


def test_what_went_out_of_the_tables_again_is_not_called_applied(
    writer: Writer, database: Database
) -> None:
    names = [accounts_in(partition, 1)[0] for partition in (0, 1)]
    first, second = (writer.ferry.record(opened(name)) for name in names)
    second.durable(DEADLINE_S)
    writer.apply()
    first.applied(DEADLINE_S)
    second.applied(DEADLINE_S)

    with database.transaction():
        database.execute(
            "DELETE FROM memferry.lane WHERE projection = %s AND partition = %s",
            (writer.projection, first.partition),
        )
        set_state(database, writer.projection, "held", "replayed to the beginning")

    until(lambda: held_again(first), "a wait that ends")
    second.applied(0)
    set_state(database, writer.projection, "live", "")
    until(lambda: not held(first), "a wait that waits")


def held_again(receipt: Receipt) -> bool:
    try:
        receipt.applied(0)
    except AppliedHeld:
        return True
    return False


def test_a_stopped_partition_ends_its_own_waits_with_what_stopped_it(
    writer: Writer, database: Database, threads: ThreadPoolExecutor
) -> None:
    there, other = (accounts_in(partition, 1)[0] for partition in (0, 1))
    before = writer.ferry.record(opened(there))
    before.durable(DEADLINE_S)
    writer.apply()
    receipt, elsewhere = writer.ferry.record(deposited(there, 1, 1)), opened(other)
    holding = claim(database, writer.established, "live")
    waiting = waits(threads, receipt)

    refused = FerryError("events 2 to 3 are missing from the log", where="lane x, offset 1")
    stop_partition(database, holding, 0, str(refused))

    for one in waiting:
        with pytest.raises(AppliedStopped, match="partition 0 stopped: events 2 to 3") as caught:
            one.result(DEADLINE_S)
        assert caught.value.where == "lane x, offset 1"
    before.applied(DEADLINE_S)
    with pytest.raises(ReceiptTimeout):
        writer.ferry.record(elsewhere).applied(IN_EFFECT_S)
    ends_at_once(writer.ferry.record(deposited(there, 1, 2)), AppliedStopped, "partition 0")

    claim(database, writer.established, "live")  # a projector tries again
    until(lambda: not stopped(receipt), "waits that wait")


def stopped(receipt: Receipt) -> bool:
    try:
        receipt.applied(0)
    except AppliedStopped:
        return True
    except ReceiptTimeout:
        return False
    raise AssertionError("nothing was applied yet")


def test_an_app_that_connects_later_learns_it_too(
    make_writer: Callable[..., Writer], database: Database
) -> None:
    writer = make_writer()
    set_state(database, writer.projection, "held", "a look back")

    writer.start()

    ends_at_once(writer.ferry.record(opened("a")), AppliedHeld, "is held: a look back")


async def test_an_event_that_the_projection_filters_out_is_waited_for_no_longer_than_others(
    attached: Attached, settings: Settings
) -> None:
    filtering = Domain("ledger", (ACCOUNT, replace(READING, project=lambda _: ())), DOMAIN.ddl)

    async with projecting(settings, filtering):
        for number in range(3):
            await attached.ferry.record(taken("m", number)).until_applied(DEADLINE_S)
        await asyncio.to_thread(attached.ferry.record(taken("n", 1)).applied, DEADLINE_S)
