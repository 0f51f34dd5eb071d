import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from projector.audit.log_fold import LogFold, LogSilent
from projector.lanes import RecordRefused
from projector.log import Log
from schemas import envelope
from schemas.digest import row_digest
from schemas.lane import SequenceGap, partition_of
from schemas.settings import Settings
from schemas.tables import key_text
from tests.domains.ledger import ACCOUNTS, DOMAIN, READINGS
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import ends

A, B = accounts_in(1, 2)


def fold() -> LogFold:
    return LogFold(DOMAIN, 1, {"app-1"})


def log_of(settings: Settings) -> Log:
    return Log(settings, f"{settings.topic}.1")


Found = dict[str, dict[str, tuple[str, str, int]]]


def in_memory(app: App) -> Found:
    """What the app's own memory says its rows are, over all partitions."""
    accounts = [(a.account, a.owner, a.balance, a.opened_at, a.tags) for a in app.accounts.values()]
    readings = [(r.meter, r.number, r.value) for r in app.readings_taken]
    return {
        "accounts": {
            row[0]: ("app-1", f"account/{row[0]}", row_digest(ACCOUNTS, row)) for row in accounts
        },
        "readings": {
            key_text(READINGS.key_of(row)): (
                "app-1", f"reading/{row[0]}", row_digest(READINGS, row)
            )
            for row in readings
        },
    }  # fmt: skip


def together(folded: LogFold) -> Found:
    return {
        table: {row.key: (row.source, row.stream, row.digest) for row in folded.state.rows(table)}
        for table in ("accounts", "readings")
    }


def accounts_of(folded: LogFold, partition: int) -> set[str]:
    return {row.key for row in folded.state.rows("accounts", partition=partition)}


async def test_the_fold_of_the_log_is_what_the_apps_memory_holds(
    app: App, broker: Broker, topic: Settings
) -> None:
    for number in range(30):
        app.open(f"acc-{number}", tags={"n": str(number)})
        app.deposit(f"acc-{number}", "0.10")
        app.read(f"meter-{number % 3}", number)
        if number % 3 == 0:
            app.end(f"acc-{number}")
    broker.publish(topic, app.rows())
    broker.publish(topic, app.rows())
    folded = fold()

    async with log_of(topic) as log:
        await folded.read_to(log, await ends(topic))

    assert together(folded) == in_memory(app)
    assert (folded.events, folded.duplicates.count) == (100, 100)


async def test_a_fold_can_be_carried_on_from_where_it_is(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A, B)
    app.deposit(A, 1)
    broker.publish(topic, app.rows())
    folded = fold()

    async with log_of(topic) as log:
        await folded.read_to(log, {1: 1})
        first = dict(folded.offsets), accounts_of(folded, 1)
        await folded.read_to(log, {0: 0, 1: 3, 2: 0})

    assert first == ({1: 1}, {A})
    assert together(folded) == in_memory(app)


async def test_a_row_belongs_to_the_partition_of_its_stream(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(*(f"acc-{number}" for number in range(9)))
    broker.publish(topic, app.rows())
    folded = fold()

    async with log_of(topic) as log:
        await folded.read_to(log, await ends(topic))

    for partition in range(3):
        for key in accounts_of(folded, partition):
            assert partition_of(f"account/{key}", 3) == partition


async def test_a_barrier_is_told_of_where_it_stands(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    app.barrier("b-1")
    app.open(B)
    broker.publish(topic, app.rows())
    folded, seen = fold(), list[tuple[str, int, int]]()
    folded.on_barrier = lambda barrier, _, p, head: seen.append(
        (barrier.barrier, p, len(accounts_of(folded, p)))
    )

    async with log_of(topic) as log:
        await folded.read_to(log, await ends(topic))

    assert sorted(seen) == [("b-1", 0, 0), ("b-1", 1, 1), ("b-1", 2, 0)]


async def test_a_hole_and_garbage_are_named(app: App, broker: Broker, topic: Settings) -> None:
    app.open(A, B)
    app.deposit(A, 1)
    first, _, third = (row.event for row in app.rows() if row.partition == 1)
    broker.send(topic, 1, [first, third])
    broker.send(topic, 2, [b"garbage"])

    async with log_of(topic) as log:
        with pytest.raises(SequenceGap) as hole:
            await fold().read_to(log, {1: 2})
        with pytest.raises(RecordRefused) as garbage:
            await fold().read_to(log, {2: 1})

    assert "seq 3, partition 1, offset 1" in hole.value.where
    assert "partition 2, offset 0" in garbage.value.where


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "ledger.account.sold.v1"},
        {"data": {"account": 5}},
        {"data": {"account": A, "amount": "1", "balance": "77"}},
        {"data": {"account": A, "amount": "1", "balance": "NaN"}},
    ],
    ids=["unknown type", "misfit", "does not follow", "no number"],
)
async def test_an_event_that_does_not_fold_is_named(
    app: App, broker: Broker, topic: Settings, changes: dict[str, Any]
) -> None:
    app.open(A)
    app.deposit(A, 1)
    first, second = (row.event for row in app.rows() if row.partition == 1)
    altered = msgspec.json.decode(second) | changes | {"chain": envelope.digest(first)}
    broker.send(topic, 1, [first, msgspec.json.encode(altered)])

    folded = fold()

    async with log_of(topic) as log:
        await folded.read_to(log, {1: 2})

    (failed,) = folded.failures.values()
    assert failed.where == "lane app-1/g1/p1, seq 2, partition 1, offset 1"
    assert {row.row[2] for row in folded.state.rows("accounts")} == {Decimal(0)}  # as it was before


async def test_a_log_that_gives_nothing_is_not_waited_for_for_ever(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())

    async with log_of(topic) as log, asyncio.timeout(10):
        with pytest.raises(LogSilent) as silent:
            await fold().read(log, [1], lambda p: False, patience_s=0.2)

    assert silent.value.where == f"topic {topic.topic}.1, partitions [1]"
