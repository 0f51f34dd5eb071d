import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projector.audit.against_outboxes import ask_outboxes
from projector.audit.compare import FoundRow
from projector.audit.memory import MemoryWitness, memory_of
from projector.sources import SourceSilent
from schemas.digest import MODULUS, bucket_of, row_digest, sum_digests, value_text
from schemas.lane import partition_of
from schemas.requests import MemoryPart, OutboxAnswer
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNTS, READINGS
from tests.projector.audit.conftest import OPENED, Live

pytestmark = pytest.mark.usefixtures("projection")
Database = psycopg.Connection[Any]


def requests(conn: Database, settings: Settings) -> list[Any]:
    return conn.execute(
        "SELECT source FROM memferry.request WHERE projection = %s", (settings.projection,)
    ).fetchall()


def account(name: str, balance: int = 0) -> tuple[Any, ...]:
    return (name, "Ada", Decimal(balance), OPENED, {"n": name})


def test_an_app_says_what_it_holds_in_sums_and_where_its_barrier_is(
    live: Live, settings: Settings, database: Database
) -> None:
    with memory_of(database, settings.projection, ["app-1"], [], 10) as (witness,):
        sums = [witness.sums(partition, "accounts") for partition in range(3)]
        place = partition_of("reading/m-0", 3)
        windows = witness.streams(place, "readings")

    rows = [account("a", 5), account("b"), account("c"), account("d")]
    for partition in range(3):
        here = [row for row in rows if partition_of(f"account/{row[0]}", 3) == partition]
        assert sums[partition].total_rows == len(here)
        assert sum(sums[partition].digests) % MODULUS == sum_digests(
            row_digest(ACCOUNTS, row) for row in here
        )
    ring = [("m-0", number, Decimal(number)) for number in (3, 4, 5)]
    held = (3, sum_digests(row_digest(READINGS, row) for row in ring))
    assert windows == {"reading/m-0": held}
    assert (witness.source, witness.answer.misplaced) == ("app-1", [])
    assert sorted(witness.answer.heads) == [0, 1, 2]
    assert all(len(digest) == 64 for _, digest in witness.answer.heads.values())


def rows_of(witness: MemoryWitness, name: str) -> dict[str, FoundRow]:
    partition = partition_of(f"account/{name}", 3)
    return witness.rows(
        [MemoryPart(partition, "accounts", bucket=bucket_of(ACCOUNTS, account(name)))]
    )


def test_rows_are_told_as_they_were_at_the_barrier(
    live: Live, settings: Settings, database: Database
) -> None:
    with memory_of(database, settings.projection, ["app-1"], [], 10) as (witness,):
        live.deposit("a", 7)
        found = rows_of(witness, "a")["a"]

    row = account("a", 5)
    assert found == FoundRow(row_digest(ACCOUNTS, row), [value_text(value) for value in row])


def test_what_memory_held_is_let_go_at_the_end(
    live: Live, settings: Settings, database: Database
) -> None:
    with memory_of(database, settings.projection, ["app-1"], [], 10) as (witness,):
        pass

    with pytest.raises(SourceSilent) as gone:
        rows_of(witness, "a")

    assert "is not kept any more" in gone.value.what


def test_only_the_tables_that_are_asked_for_are_told_of(
    live: Live, settings: Settings, database: Database
) -> None:
    with memory_of(database, settings.projection, ["app-1"], ["readings"], 10) as (witness,):
        accounts = [witness.sums(partition, "accounts").total_rows for partition in range(3)]
        windows = witness.streams(partition_of("reading/m-0", 3), "readings")

    assert accounts == [0, 0, 0]
    assert windows["reading/m-0"][0] == 3


def test_nothing_is_left_of_a_question(live: Live, settings: Settings, database: Database) -> None:
    held = "SELECT (SELECT count(*) FROM memferry.memory_row), count(*) FROM memferry.memory_sum"
    before = database.execute(held).fetchone()

    with memory_of(database, settings.projection, ["app-1"], [], 10) as (witness,):
        rows_of(witness, "a")
    with (
        pytest.raises(SourceSilent),
        memory_of(database, settings.projection, ["app-7"], [], 0.05),
    ):
        raise AssertionError("nobody answers")

    assert requests(database, settings) == []
    assert database.execute(held).fetchone() == before


def test_a_source_that_does_not_answer_is_named_with_what_to_do(
    settings: Settings, database: Database
) -> None:
    with (
        pytest.raises(SourceSilent) as silent,
        memory_of(database, settings.projection, ["app-1"], [], 0.05),
    ):
        raise AssertionError("nobody answers")

    assert "source 'app-1' did not answer" in silent.value.what
    assert silent.value.where == "source app-1"
    for way_out in ("start the app", "retire", "--without-memory"):
        assert way_out in silent.value.remedy


def test_an_app_that_takes_no_more_events_says_why_it_cannot_answer(
    live: Live, settings: Settings, database: Database
) -> None:
    live.ferry.retire()

    with (
        pytest.raises(SourceSilent) as silent,
        memory_of(database, settings.projection, ["app-1"], [], 10),
    ):
        raise AssertionError("it is retired")

    assert "is retired" in silent.value.what


def test_a_question_asked_while_the_app_was_away_is_answered_when_it_is_back(
    settings: Settings, database: Database, make_live: Callable[..., Live]
) -> None:
    def ask() -> int:
        with memory_of(database, settings.projection, ["app-1"], [], 10) as (witness,):
            return len(witness.answer.heads)

    async def meanwhile() -> int:
        partitions, _ = await asyncio.gather(
            asyncio.to_thread(ask), asyncio.to_thread(make_live, settings)
        )
        return partitions

    assert asyncio.run(meanwhile()) == 3


def test_an_outbox_is_vouched_for_by_its_app_and_who_is_silent_is_said(
    live: Live, settings: Settings, database: Database
) -> None:
    live.deposit("a", 1).durable(5)

    found = ask_outboxes(database, settings.projection, ["app-1"], 10, whole=True)
    silent = ask_outboxes(database, settings.projection, ["app-7"], 0.05, whole=True)

    answer = found["app-1"]
    assert isinstance(answer, OutboxAnswer)
    assert (answer.findings, answer.events >= 11) == ([], True)
    assert isinstance(silent["app-7"], SourceSilent)
