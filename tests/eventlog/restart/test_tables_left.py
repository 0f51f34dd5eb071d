"""Tables that cannot tell a source's memory are left for the log, or refused where they were
demanded; what is nowhere is named, and memory is not half of what it was."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from eventlog.restart.log import LogCut
from eventlog.restart.tail import RestartIncomplete
from eventlog.restart.unusable import TablesUnusable
from schemas.domain import Domain
from schemas.entities import KindNotReadable
from schemas.lane import ChainBroken, partition_of
from schemas.settings import Postgres, Settings
from schemas.tables import Table
from tests.domains.ledger import ACCOUNT, ACCOUNTS, DOMAIN, READING
from tests.eventlog.app import DEADLINE_S, account, deposited, opened, readings, taken
from tests.eventlog.restart.life import PARTITIONS, Life, begin
from tests.projector.waiting import until_blocked_by

FROM_LOG = {"account": "log", "reading": "log"}


async def test_tables_that_others_write_too_are_left_for_the_log(
    life: Life, make_life: Callable[..., Life], caplog: pytest.LogCaptureFixture
) -> None:
    other = make_life(
        msgspec.structs.replace(
            life.settings, source="app-2", outbox=msgspec.structs.replace(
                life.settings.outbox, path=f"{life.settings.outbox.path}.2"
            )
        ),
        topics=False,
    )  # fmt: skip
    other.ferry.record(opened("theirs"))
    other.send()
    await begin(life)
    await life.apply()
    before = life.memory()

    with caplog.at_level(logging.WARNING, logger="memferry.restart"):
        ways = life.restart()

    assert (ways, life.memory()) == (FROM_LOG, before)
    assert "hold rows of other sources too (app-2)" in caplog.text
    with pytest.raises(TablesUnusable, match="do not say whose a row is"):
        life.restart("tables")


async def test_a_stream_without_rows_is_asked_of_the_log_whether_it_ended(life: Life) -> None:
    await begin(life)
    stale = {name: account(name, 77) for name in ("a", "ended", "own")}

    ways = life.restart(accounts=stale, rings={"m": readings("m", 7), "own": readings("own", 1)})

    assert ways == FROM_LOG
    assert life.accounts == {"a": account("a", 6), "own": account("own", 77)}
    assert life.memory()["rings"] == {"m": [1], "own": [1]}


async def test_what_the_app_had_of_a_stream_in_the_tables_is_gone_over(life: Life) -> None:
    await begin(life)

    ways = life.restart(accounts={"a": account("a", 77)}, rings={"m": readings("m", 7, 8)})

    assert ways == {"account": "tables", "reading": "tables"}
    assert life.accounts == {"a": account("a", 6)}
    assert life.memory()["rings"] == {"m": [1]}


async def test_a_database_that_is_away_is_left_for_the_log(life: Life) -> None:
    await begin(life)
    before = life.memory()
    life.settings = msgspec.structs.replace(
        life.settings, postgres=Postgres("host=127.0.0.1 port=1 user=x", 2)
    )

    assert life.restart() == FROM_LOG
    assert life.memory() == before
    with pytest.raises(TablesUnusable, match="kind 'account' cannot be read"):
        life.restart("tables")


async def test_a_kind_whose_rows_do_not_lead_back_is_left_for_the_log(life: Life) -> None:
    await begin(life)
    before = life.memory()
    reordered = Table("accounts", ACCOUNTS.columns[::-1], ACCOUNTS.key)
    domain = Domain("ledger", (replace(ACCOUNT, tables=(reordered,)), READING), DOMAIN.ddl)

    assert life.restart(domain=domain) == {"account": "log", "reading": "tables"}
    assert life.memory() == before
    with pytest.raises(KindNotReadable):
        life.restart("tables", domain=domain)


async def test_tables_of_another_topic_are_left_for_the_log(
    life: Life, make_settings: Callable[..., Settings], make_life: Callable[..., Life]
) -> None:
    await begin(life)
    other = make_life(make_settings())
    other.send()
    await other.apply()
    life.settings = msgspec.structs.replace(life.settings, projection=other.settings.projection)

    assert life.restart() == FROM_LOG
    with pytest.raises(TablesUnusable, match="is of topic"):
        life.restart("tables")


async def test_tables_that_ended_on_another_event_are_left_for_the_log(
    life: Life, database: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    await begin(life)
    before = life.memory()
    database.execute(
        "UPDATE memferry.lane SET digest = repeat('0', 64) WHERE projection = %s",
        (life.settings.projection,),
    )

    with caplog.at_level(logging.WARNING, logger="memferry.restart"):
        ways = life.restart()

    assert (ways, life.memory()) == (FROM_LOG, before)
    with pytest.raises((RestartIncomplete, ChainBroken)):
        life.restart("tables")


async def test_tables_ahead_of_the_outbox_are_refused(
    life: Life, database: psycopg.Connection[Any]
) -> None:
    await begin(life)
    life.send()
    await life.apply()
    database.execute(
        "UPDATE memferry.lane SET seq = seq + 1, digest = repeat('0', 64) WHERE projection = %s",
        (life.settings.projection,),
    )

    with pytest.raises(RestartIncomplete, match="is not in the outbox"):
        life.restart("tables")


async def test_a_pruned_outbox_is_refused_where_it_was_demanded(life: Life) -> None:
    await begin(life)

    with pytest.raises(RestartIncomplete, match="no longer holds the first events"):
        life.restart("outbox")


async def test_an_event_that_is_nowhere_is_named_and_the_containers_are_as_they_were(
    life: Life,
) -> None:
    await begin(life)
    life.send()
    lost = life.ferry.record(deposited("a", 1, 7))
    life.ferry.record(deposited("a", 1, 8)).durable(DEADLINE_S)
    life.forget(lost.partition, lost.seq)
    accounts = {"a": account("a", 77)}

    for way in ("auto", "log", "tables"):
        with pytest.raises(RestartIncomplete, match=f"event {lost.seq} is neither in the topic"):
            life.restart(way, accounts=accounts)

    assert accounts == {"a": account("a", 77)}


async def test_a_topic_that_was_cut_is_enough_behind_the_tables_and_not_alone(life: Life) -> None:
    await begin(life)
    before = life.memory()
    life.cut(partition_of("account/a", PARTITIONS), 1)

    assert life.restart() == {"account": "tables", "reading": "tables"}
    assert life.memory() == before
    with pytest.raises(LogCut, match="from offset 0, the partition holds 1 to"):
        life.restart("log")


async def test_a_ring_from_the_tables_is_in_the_order_of_keys_from_the_log_as_it_came(
    life: Life,
) -> None:
    life.ferry.record_all([taken("m", number) for number in (5, 9, 7)])
    life.send()
    await life.apply()
    life.prune()

    life.restart("tables")
    assert life.memory()["rings"] == {"m": [5, 7, 9]}

    life.restart("log")
    assert life.memory()["rings"] == {"m": [5, 9, 7]}


async def test_tables_that_are_emptied_meanwhile_are_read_as_of_one_moment(
    life: Life, database: psycopg.Connection[Any]
) -> None:
    await begin(life)
    before = life.memory()
    schema = life.settings.projection
    with psycopg.connect(life.settings.postgres.dsn) as emptying:
        for table in DOMAIN.tables:
            emptying.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(schema, table)))
        emptying.execute(
            "UPDATE memferry.checkpoint SET next_offset = 0 WHERE projection = %s", (schema,)
        )
        emptying.execute("DELETE FROM memferry.lane WHERE projection = %s", (schema,))
        restarting = life.restart_beside("tables")
        until_blocked_by(database, emptying)
        emptying.commit()

    restarting.result(DEADLINE_S)

    assert life.memory() == before
