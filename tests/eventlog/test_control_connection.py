"""The shim's own connection to PostgreSQL: applied receipts, and memory for the audit."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from eventlog.receipts import ReceiptTimeout
from projector.audit.memory import memory_of
from projector.sources import SourceSilent
from schemas.digest import MODULUS, digest_of
from schemas.lane import partition_of
from schemas.settings import Postgres, Settings
from schemas.table_sums import Sums
from tests.domains.ledger import ACCOUNTS, READINGS
from tests.eventlog.app import DEADLINE_S, deposited, opened, taken
from tests.eventlog.attached import Attached
from tests.projector.projecting import projecting
from tests.projector.waiting import until


def backends(database: psycopg.Connection[Any], source: str = "app-1") -> list[int]:
    found = database.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (f"memferry shim {source}",)
    )
    return [pid for (pid,) in found]


async def test_applied_is_true_once_the_rows_are_in_the_tables(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    ferry = attached.ferry
    receipts = [ferry.record(opened(str(number))) for number in range(100)]
    with pytest.raises(ReceiptTimeout, match=r"is not applied after 0\.05 s"):
        await receipts[0].until_applied(0.05)

    async with projecting(settings):
        for receipt in receipts:
            await receipt.until_applied(DEADLINE_S)
        last = ferry.record(deposited("7", 3, 3))
        await asyncio.to_thread(last.applied, DEADLINE_S)

        balance = database.execute(
            f"SELECT balance FROM {settings.projection}.accounts WHERE account = '7'"
        ).fetchone()

    assert balance == (3,)


async def test_applied_waits_for_its_own_partition(attached: Attached, settings: Settings) -> None:
    async with projecting(settings):
        for number in range(30):
            await attached.ferry.record(opened(str(number))).until_applied(DEADLINE_S)


async def test_the_connection_comes_back_after_the_database_cut_it(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    async with projecting(settings):
        await attached.ferry.record(opened("a")).until_applied(DEADLINE_S)
        await asyncio.to_thread(until, lambda: backends(database), "the shim's connection")
        before = backends(database)

        for pid in before:
            database.execute("SELECT pg_terminate_backend(%s)", (pid,))
        receipt = attached.ferry.record(opened("b"))

        await receipt.until_applied(DEADLINE_S)
        assert not set(backends(database)) & set(before)


async def test_an_audit_is_told_what_memory_holds_behind_a_barrier(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    attached.ferry.record_all(
        [opened("a"), deposited("a", 5, 5), *(taken("m", n) for n in range(5))]
    )
    async with projecting(settings):
        await attached.ferry.record(opened("b")).until_applied(DEADLINE_S)

        with memory_of(database, settings.projection, ["app-1"], [], DEADLINE_S) as (witness,):
            pass

    for partition in range(3):
        expected = Sums()
        for name, found in attached.accounts.items():
            if partition_of(f"account/{name}", 3) == partition:
                row = (name, found.owner, found.balance, found.opened_at, found.tags)
                expected.add(*digest_of(ACCOUNTS)(row))
        assert witness.sums(partition, "accounts") == expected
    ring = [digest_of(READINGS)((r.meter, r.number, r.value))[1] for r in attached.rings["m"]]
    ours = partition_of("reading/m", 3)
    assert witness.streams(ours, "readings") == {"reading/m": (3, sum(ring) % MODULUS)}
    assert witness.source == "app-1"


async def test_an_audit_of_an_app_that_takes_nothing_more_is_told_why(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    async with projecting(settings):
        await attached.ferry.record(opened("a")).until_applied(DEADLINE_S)
        attached.ferry.retire(DEADLINE_S)

        with (
            pytest.raises(SourceSilent, match="source 'app-1' is retired"),
            memory_of(database, settings.projection, ["app-1"], [], DEADLINE_S),
        ):
            pass


def test_a_database_that_is_away_does_not_keep_the_app_from_recording(
    make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    away = Postgres(dsn="host=127.0.0.1 port=1 user=x", connect_timeout_s=2)
    with caplog.at_level(logging.WARNING, logger="memferry.control"):
        app = Attached(make_settings(postgres=away))

        receipt = app.ferry.record(opened("a"))
        receipt.durable(DEADLINE_S)
        receipt.replicated(DEADLINE_S)
        until(lambda: len(caplog.messages) == 2, "two warnings")
        app.ferry.close(DEADLINE_S)

    # One for each of its connections, however often they are tried.
    assert len([m for m in caplog.messages if "the control connection tries again" in m]) == 2


def test_a_closed_shim_leaves_no_connection(
    make_settings: Callable[..., Settings], database: psycopg.Connection[Any]
) -> None:
    app = Attached(make_settings(source="closed"))
    until(lambda: backends(database, "closed"), "the shim's connection")

    app.ferry.close(DEADLINE_S)

    until(lambda: not backends(database, "closed"), "the end of the shim's connection")
