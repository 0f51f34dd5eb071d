from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.bisect import Bisection
from projector.audit.bisect import bisect as bisect_row
from projector.audit.scope import TableUnknown
from projector.parked import parked_streams
from projector.runner import Projector
from schemas.domain import Domain
from schemas.lane import partition_of
from schemas.settings import Settings
from schemas.tables import Table, Upsert
from tests.domains.ledger import ACCOUNT, DOMAIN, READING
from tests.projector.audit.conftest import Live
from tests.projector.projecting import eventually, projecting

Database = psycopg.Connection[Any]
OPENED = "ledger.account.opened.v1"
DEPOSITED = "ledger.account.deposited.v1"


async def bisect(
    settings: Settings, key: str, table: str = "accounts", *, memory: bool = False
) -> Bisection:
    return await bisect_row(settings, DOMAIN, table, key, with_memory=memory, timeout_s=20)


@pytest.fixture
async def projector(live: Live, settings: Settings) -> AsyncIterator[Projector]:
    """A projector beside the app, whose account `a` holds 0, 5, 6 and 8 one after another."""
    live.deposit("a", 1)
    live.deposit("a", 2).durable(5)
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 12, "the history applied")
        yield projector


def change(database: Database, settings: Settings, statement: str) -> None:
    database.execute(f"SET search_path TO {settings.projection}")
    database.execute(statement)


@pytest.mark.usefixtures("projector")
async def test_a_row_that_is_what_the_log_says_agrees(settings: Settings) -> None:
    found = await bisect(settings, "a", memory=True)

    assert (found.tables.verdict, found.agrees) == ("equal", True)
    assert found.memory is not None
    assert found.memory.verdict == "equal"
    assert [step.event.type for step in found.steps] == [OPENED, *[DEPOSITED] * 3]
    assert found.stream == "account/a"
    assert {step.event.partition for step in found.steps} == {partition_of("account/a", 3)}


@pytest.mark.usefixtures("projector")
async def test_a_row_put_back_to_an_earlier_state_names_the_first_event_not_in_it(
    settings: Settings, database: Database
) -> None:
    change(database, settings, "UPDATE accounts SET balance = 5 WHERE account = 'a'")

    found = await bisect(settings, "a")

    assert (found.tables.verdict, found.agrees) == ("behind", False)
    assert found.tables.event == found.steps[2].event
    assert found.tables.event is not None
    assert found.tables.event.source == "app-1"
    (balance,) = found.tables.columns
    assert (balance.held, balance.expected) == ("5", "8")


@pytest.mark.usefixtures("projector")
async def test_an_edited_row_names_its_columns_and_when_each_agreed_last(
    settings: Settings, database: Database
) -> None:
    edit = "UPDATE accounts SET balance = 6, owner = 'Eve' WHERE account = 'a'"
    change(database, settings, edit)

    found = await bisect(settings, "a")

    assert found.tables.verdict == "edited"
    owner, balance = found.tables.columns
    assert (owner.column, owner.agreed_after) == ("owner", None)
    assert (balance.agreed_after, balance.differs_since) == (
        found.steps[2].event, found.steps[3].event
    )  # fmt: skip


@pytest.mark.usefixtures("projector")
async def test_a_row_that_no_event_makes_is_unexplained(
    settings: Settings, database: Database
) -> None:
    change(database, settings, "INSERT INTO accounts VALUES ('z', 'Eve', 1, now(), '{}')")

    found = await bisect(settings, "z", memory=True)

    assert (found.tables.verdict, found.steps) == ("unexplained", [])
    assert "somebody inserted it" in found.tables.says
    assert found.notes == ["memory: the log never had the row, so it cannot be asked for"]


@pytest.mark.usefixtures("projector")
async def test_a_deleted_row_names_the_event_that_made_it(
    settings: Settings, database: Database
) -> None:
    change(database, settings, "DELETE FROM accounts WHERE account = 'a'")

    found = await bisect(settings, "a")

    assert found.tables.verdict == "missing"
    assert found.tables.event == found.steps[0].event


@pytest.mark.usefixtures("projector")
async def test_a_row_of_a_ring_buffer_is_one_of_its_streams(
    settings: Settings, database: Database
) -> None:
    change(database, settings, "UPDATE readings SET value = 9 WHERE number = 2")

    found = await bisect(settings, "m-0/2", "readings", memory=True)

    assert (found.stream, len(found.steps)) == ("reading/m-0", 1)
    assert found.tables.verdict == "edited"
    assert (found.memory, found.notes) == (None, ["memory: its window does not hold the row"])


@pytest.mark.usefixtures("projector")
async def test_memory_changed_behind_the_shims_back_is_edited_too(
    live: Live, settings: Settings
) -> None:
    live.forge("a")

    found = await bisect(settings, "a", memory=True)

    assert found.tables.verdict == "equal"
    assert found.memory is not None
    assert (found.memory.verdict, found.agrees) == ("edited", False)
    assert [column.column for column in found.memory.columns] == ["owner"]


@pytest.mark.usefixtures("projector")
async def test_memory_that_lost_an_event_names_it(live: Live, settings: Settings) -> None:
    live.accounts["a"] = msgspec.structs.replace(live.accounts["a"], balance=Decimal(6))

    found = await bisect(settings, "a", memory=True)

    assert found.memory is not None
    assert (found.memory.verdict, found.memory.event) == ("behind", found.steps[3].event)


@pytest.mark.usefixtures("projector")
async def test_a_parked_stream_is_behind_for_a_reason_that_is_told(
    live: Live, settings: Settings, database: Database
) -> None:
    change(database, settings, "ALTER TABLE accounts ADD CHECK (balance < 100)")
    live.deposit("a", 500)
    live.deposit("a", 1).durable(5)
    await eventually(lambda: parked_streams(database, settings.projection), "an event parked")
    await eventually(
        lambda: parked_streams(database, settings.projection)[0].events == 2, "both parked"
    )

    found = await bisect(settings, "a")

    assert found.tables.verdict == "behind"
    assert found.tables.event == found.steps[4].event
    assert "accounts_balance_check1" in found.parked


@pytest.mark.usefixtures("projector")
async def test_a_row_whose_key_does_not_tell_its_stream_is_found_in_the_log(
    settings: Settings, database: Database
) -> None:
    change(
        database, settings,
        "CREATE TABLE by_number (number bigint PRIMARY KEY, meter text, value numeric)",
    )  # fmt: skip
    change(database, settings, "INSERT INTO by_number VALUES (4, 'm-0', 40), (77, 'm-0', 1)")
    by_number = Table("by_number", ("number", "meter", "value"), ("number",))
    kind = replace(
        READING,
        tables=(*READING.tables, by_number),
        project=lambda e: (*READING.project(e), Upsert(by_number, (e.number, e.meter, e.value))),
        rows=lambda r: (*READING.rows(r), (by_number, (r.number, r.meter, r.value))),
    )
    domain = Domain("ledger", (ACCOUNT, kind), DOMAIN.ddl)

    found = await bisect_row(settings, domain, "by_number", "4", timeout_s=20)
    nobodys = await bisect_row(settings, domain, "by_number", "77", timeout_s=20)

    assert (found.stream, found.tables.verdict) == ("reading/m-0", "edited")
    assert [step.texts for step in found.steps] == [("4", "m-0", "4")]
    assert (nobodys.stream, nobodys.tables.verdict) == ("", "unexplained")
    assert "in partitions [0, 1, 2]" in nobodys.notes[0]


@pytest.mark.usefixtures("projector")
async def test_a_table_that_is_not_there_is_named_with_those_that_are(settings: Settings) -> None:
    with pytest.raises(TableUnknown) as unknown:
        await bisect(settings, "a", "trades")

    assert "accounts, readings" in unknown.value.remedy
