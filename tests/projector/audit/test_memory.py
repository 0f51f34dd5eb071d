import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projector.audit.memory import ask
from projector.sources import SourceSilent
from schemas.digest import row_digest
from schemas.lane import partition_of
from schemas.settings import Settings
from tests.projector.audit.conftest import OPENED, Live

pytestmark = pytest.mark.usefixtures("projection")


def requests(conn: psycopg.Connection[Any], settings: Settings) -> list[Any]:
    return conn.execute(
        "SELECT source FROM memferry.request WHERE projection = %s", (settings.projection,)
    ).fetchall()


def test_an_app_says_what_it_holds_row_by_row_and_where_its_barrier_is(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    (answer,) = ask(database, settings.projection, ["app-1"], 10)

    account = ("b", "Ada", Decimal(0), OPENED, {"n": "b"})
    rows = {
        (table, key): digest
        for (_, table), found in answer.rows.items()
        for key, digest in found.items()
    }
    assert {key for table, key in rows if table == "accounts"} == {"a", "b", "c", "d"}
    assert {key for table, key in rows if table == "readings"} == {"m-0/3", "m-0/4", "m-0/5"}
    assert rows["accounts", "b"] == row_digest("accounts", account)
    for (partition, table), found in answer.rows.items():
        for key in found:
            kind = "account" if table == "accounts" else "reading"
            assert partition_of(f"{kind}/{key.split('/')[0]}", 3) == partition
    assert (answer.source, len(answer.barrier)) == ("app-1", 36)


def test_nothing_is_left_of_a_question(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    held = "SELECT count(*) FROM memferry.memory_row"
    before = database.execute(held).fetchone()

    ask(database, settings.projection, ["app-1"], 10)
    with pytest.raises(SourceSilent):
        ask(database, settings.projection, ["app-7"], 0.05)

    assert requests(database, settings) == []
    assert database.execute(held).fetchone() == before


def test_a_source_that_does_not_answer_is_named_with_what_to_do(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SourceSilent) as silent:
        ask(database, settings.projection, ["app-1"], 0.05)

    assert "source 'app-1' did not answer" in silent.value.what
    assert silent.value.where == "source app-1"
    for way_out in ("start the app", "retire", "--without-memory"):
        assert way_out in silent.value.remedy


def test_an_app_that_takes_no_more_events_says_why_it_cannot_answer(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    live.ferry.retire()

    with pytest.raises(SourceSilent) as silent:
        ask(database, settings.projection, ["app-1"], 10)

    assert "is retired" in silent.value.what


def test_a_question_asked_while_the_app_was_away_is_answered_when_it_is_back(
    settings: Settings, database: psycopg.Connection[Any], make_live: Callable[..., Live]
) -> None:
    async def meanwhile() -> list[Any]:
        asking = asyncio.to_thread(ask, database, settings.projection, ["app-1"], 10)
        answer, _ = await asyncio.gather(asking, asyncio.to_thread(make_live, settings))
        return list(answer)

    (answer,) = asyncio.run(meanwhile())

    assert answer.rows == {}
