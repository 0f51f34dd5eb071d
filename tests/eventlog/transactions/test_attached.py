"""An attached app whose outbox is in PostgreSQL: relayed, projected, restarted."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from compose.cli.status import read_outbox
from eventlog.adoption import adopt
from eventlog.outbox.contract import OutboxInUse
from eventlog.outbox.opening import RelayInUse, open_reader
from eventlog.relay import Relay
from eventlog.shim import Ferry
from schemas.errors import SettingsInvalid
from schemas.settings import Outbox, Postgres, Restart, Settings
from tests.domains.ledger import Account
from tests.eventlog.app import DEADLINE_S, account, deposited, new_rings, opened, taken
from tests.eventlog.transactions.desk import in_postgres
from tests.projector.projecting import eventually, project, projecting

Attach = Callable[..., Ferry]


@pytest.fixture
def given(settings: Settings) -> Settings:
    return in_postgres(settings)


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attach with both containers registered; closed at the end."""
    ferries: list[Ferry] = []

    def make(given: Settings, accounts: dict[str, Account] | None = None) -> Ferry:
        ferry = eventlog.attach(given)
        ferries.append(ferry)
        ferry.register("account", {} if accounts is None else accounts)
        ferry.register("reading", new_rings())
        return ferry

    yield make
    for ferry in ferries:
        ferry.close(DEADLINE_S)


async def test_what_a_transaction_recorded_reaches_the_tables(
    given: Settings, attach: Attach
) -> None:
    ferry = attach(given)
    async with projecting(given):
        with psycopg.connect(given.postgres.dsn) as conn:
            with ferry.transaction(conn) as changes:
                changes.record(opened("a"))
                changes.record(deposited("a", 5, 5))
            receipt = ferry.record(deposited("a", 1, 6))

            for one in (*changes.receipts, receipt):
                await one.until_replicated(DEADLINE_S)
                await one.until_applied(DEADLINE_S)

            found = conn.execute(
                f"SELECT account, balance FROM {given.projection}.accounts"
            ).fetchall()
    assert found == [("a", 6)]


@pytest.mark.parametrize("way", ["outbox", "tables", "log"])
async def test_memory_comes_back_and_recording_goes_on(
    given: Settings, attach: Attach, way: Any
) -> None:
    ferry = attach(given)
    ferry.record_all([opened("a"), opened("b"), taken("m", 1)])[-1].replicated(DEADLINE_S)
    await project(given)
    with psycopg.connect(given.postgres.dsn) as conn, ferry.transaction(conn) as changes:
        changes.record(deposited("a", 5, 5))
    ferry.close(DEADLINE_S)
    accounts: dict[str, Account] = {}

    again = attach(msgspec.structs.replace(given, restart=Restart(way)), accounts)

    assert again.restart.ways == {"account": way, "reading": way}
    assert accounts == {"a": account("a", 5), "b": account("b")}
    again.record(deposited("a", 1, 6)).replicated(DEADLINE_S)


async def test_what_every_table_has_leaves_the_outbox_and_memory_comes_back_without_it(
    given: Settings, attach: Attach
) -> None:
    pruned = msgspec.structs.replace(
        given, outbox=msgspec.structs.replace(given.outbox, prune="applied", trust_kafka=True)
    )
    ferry = attach(pruned)
    async with projecting(pruned):
        await ferry.record_all([opened("a"), opened("b")])[-1].until_applied(DEADLINE_S)
        with psycopg.connect(given.postgres.dsn) as conn, ferry.transaction(conn) as changes:
            changes.record(deposited("a", 5, 5))
        await eventually(lambda: streams(given) == ["memferry/app-1"], "an empty outbox")
    ferry.close(DEADLINE_S)
    accounts: dict[str, Account] = {}

    again = attach(pruned, accounts)

    assert again.restart.ways == {"account": "tables", "reading": "tables"}
    assert accounts == {"a": account("a", 5), "b": account("b")}
    again.record(deposited("a", 1, 6)).replicated(DEADLINE_S)


def streams(settings: Settings) -> list[str]:
    """Return the streams of the events that the outbox holds."""
    reader = open_reader(settings)
    try:
        return [row.stream for row in reader.rows(0, 100)]
    finally:
        reader.close()


async def test_a_relay_beside_the_app_follows_its_commits(given: Settings, attach: Attach) -> None:
    beside = msgspec.structs.replace(
        given, relay=msgspec.structs.replace(given.relay, mode="process")
    )
    ferry = attach(beside)
    relay = Relay(beside, lambda _: None)
    running = asyncio.create_task(relay.run())

    receipts = ferry.record_all([opened("a"), opened("b")])

    await eventually(lambda: relay.sent_row >= receipts[-1].row > 0, "rows in Kafka")
    with pytest.raises(RelayInUse):
        await Relay(beside, lambda _: None).run()
    relay.stop()
    await asyncio.wait_for(running, DEADLINE_S)


def test_an_instance_that_is_open_is_not_opened_twice(given: Settings, attach: Attach) -> None:
    attach(given)

    with pytest.raises(OutboxInUse):
        eventlog.attach(given)


async def test_status_counts_it_and_what_is_for_files_is_refused(
    given: Settings, attach: Attach
) -> None:
    assert await asyncio.to_thread(read_outbox, given) is None
    ferry = attach(given)
    ferry.record_all([opened("a"), opened("b")])[-1].replicated(DEADLINE_S)

    # The source's opening is an event, too.
    assert await asyncio.to_thread(read_outbox, given) == {"durable": 3, "waiting": 0}
    with pytest.raises(SettingsInvalid, match="adoption is for outboxes that are files"):
        adopt(given)


def test_a_postgres_outbox_without_a_database_is_refused(settings: Settings) -> None:
    nowhere = msgspec.structs.replace(settings, postgres=Postgres(), outbox=Outbox(kind="postgres"))

    with pytest.raises(SettingsInvalid, match="not said where"):
        eventlog.attach(nowhere)
