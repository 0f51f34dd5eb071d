"""A receipt whose stream has a parked event never says `applied`; one of another stream does."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from eventlog.receipts import AppliedParked, Receipt
from projector.parked_asking import retry_parked
from schemas.requests import RetryAnswer
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, deposited, opened
from tests.eventlog.attached import Attached
from tests.eventlog.writer import Writer
from tests.projector.app import accounts_in
from tests.projector.parking_by_hand import REASON, park, unpark
from tests.projector.projecting import eventually, projecting
from tests.projector.waiting import until

Database = psycopg.Connection[Any]


def ends_parked(receipt: Receipt) -> AppliedParked:
    for wait in (receipt.applied, lambda t: asyncio.run(receipt.until_applied(t))):
        with pytest.raises(AppliedParked) as caught:
            wait(DEADLINE_S)
    return caught.value


def is_parked(receipt: Receipt) -> bool:
    try:
        receipt.applied(DEADLINE_S)
    except AppliedParked:
        return True
    return False


def durable(receipt: Receipt) -> Receipt:
    receipt.durable(DEADLINE_S)
    return receipt


def test_who_waits_for_a_parked_event_is_told_its_stream_the_reason_and_the_command(
    writer: Writer, database: Database
) -> None:
    bad, good = accounts_in(0, 2)
    before = durable(writer.ferry.record(opened(bad)))
    other = durable(writer.ferry.record(opened(good)))
    first = durable(writer.ferry.record(deposited(bad, 1, 1)))
    behind = durable(writer.ferry.record(deposited(bad, 1, 2)))
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(one.applied, DEADLINE_S) for one in (first, behind)]

        with database.transaction():
            park(database, writer.projection, f"account/{bad}", seq=first.seq, partition=0)
            park(
                database, writer.projection, f"account/{bad}", seq=behind.seq, partition=0,
                behind=True, reason="waits behind an earlier event of its stream",
            )  # fmt: skip
            writer.apply()

        for one in waiting:
            with pytest.raises(AppliedParked):
                one.result(DEADLINE_S)
    error = ends_parked(behind)
    assert f"stream 'account/{bad}' waits" in error.what
    assert REASON in error.what
    assert f"seq {first.seq}" in error.where
    assert f"memferry parked show account/{bad}" in error.remedy
    before.applied(DEADLINE_S)
    other.applied(DEADLINE_S)


def test_once_its_stream_is_retried_a_receipt_is_applied(
    writer: Writer, database: Database
) -> None:
    receipt = durable(writer.ferry.record(opened("a")))
    with database.transaction():
        park(database, writer.projection, "account/a", seq=receipt.seq, partition=receipt.partition)
        writer.apply()
    ends_parked(receipt)

    unpark(database, writer.projection)

    until(lambda: not is_parked(receipt), "the receipt to be applied")


def test_an_event_that_was_parked_without_this_app_is_known_once_it_is_connected(
    make_writer: Any, database: Database
) -> None:
    writer = make_writer()
    receipt = durable(writer.ferry.record(opened("a")))
    with database.transaction():
        park(database, writer.projection, "account/a", seq=receipt.seq, partition=receipt.partition)
        writer.apply()

    writer.start()

    ends_parked(receipt)


def test_what_is_parked_of_another_source_or_projection_concerns_no_receipt_here(
    writer: Writer, database: Database
) -> None:
    receipt = durable(writer.ferry.record(opened("a")))
    with database.transaction():
        park(
            database, writer.projection, "account/a", source="app-2", seq=receipt.seq,
            partition=receipt.partition,
        )  # fmt: skip
        writer.apply()

    receipt.applied(DEADLINE_S)


def test_waiting_for_all_that_was_recorded_ends_where_one_of_the_streams_asked_for_is_parked(
    writer: Writer, database: Database
) -> None:
    bad, good = accounts_in(0, 2)
    receipt = durable(writer.ferry.record(opened(bad)))
    durable(writer.ferry.record(opened(good))).durable(DEADLINE_S)
    with database.transaction():
        park(database, writer.projection, f"account/{bad}", seq=receipt.seq, partition=0)
        writer.apply()
    ends_parked(receipt)
    row = writer.ferry.recorded_position()

    def wait(*streams: str, partitions: tuple[int, ...] = (0,)) -> None:
        writer.ferry.applied_through(row, partitions, DEADLINE_S, *streams)

    wait(f"account/{good}")
    wait("reading/")
    wait(partitions=(1, 2))
    for streams in ((), ("account/",), (f"account/{bad}",)):
        with pytest.raises(AppliedParked, match=f"account/{bad}"):
            wait(*streams)


async def test_a_projector_parks_and_a_retry_makes_the_receipts_applied(
    attached: Attached, settings: Settings, database: Database
) -> None:
    record, accounts = attached.ferry.record, f"{settings.projection}.accounts"
    async with projecting(settings):
        await record(opened("a")).until_applied(DEADLINE_S)
        database.execute(f"ALTER TABLE {accounts} ADD CONSTRAINT few CHECK (balance < 100)")

        for amount, balance in ((500, 500), (-450, 50)):
            receipt = record(deposited("a", amount, balance))
            with pytest.raises(AppliedParked, match='"few"'):
                await receipt.until_applied(DEADLINE_S)
        await record(opened("b")).until_applied(DEADLINE_S)
        database.execute(f"ALTER TABLE {accounts} DROP CONSTRAINT few")
        answers = await asyncio.to_thread(
            retry_parked, database, settings.projection, None, DEADLINE_S
        )

        assert answers == [RetryAnswer("account/a", 2, 0, "")]
        await eventually(lambda: not is_parked(receipt), "the receipt to be applied")
    balances = database.execute(f"SELECT account, balance FROM {accounts} ORDER BY 1").fetchall()
    assert balances == [("a", 50), ("b", 0)]
