"""Audits of logs with voids: nothing void is in a comparison, and nothing is compared across."""

import asyncio
import threading
from contextlib import closing
from typing import Any

import psycopg
import pytest

from projector.audit.attempt import Attempt
from projector.audit.audit_actions import actions_of, next_command
from projector.audit.bisect import bisect
from projector.audit.known import VoidsMoved, know
from projector.audit.records.log import read_log
from projector.audit.records.record import Record
from projector.audit.result import AuditResult
from projector.audit.run import audit as run_audit
from projector.audit.scope import Scope
from projector.audit.table_scan import table_snapshot
from projector.control_tables import Projection, connect, read_projection
from projector.replay.beside import make
from projector.replay.exchange import exchange
from projector.sql import query
from projector.voids import obey
from schemas.settings import Settings
from schemas.table_sums import Sums, TableSums
from tests.domains.ledger import DOMAIN
from tests.projector.app import accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project, projecting
from tests.projector.voided import deposited, history

A, B = accounts_in(0, 2)
C, D = accounts_in(1, 2)
Database = psycopg.Connection[Any]


async def audit(settings: Settings, **options: Any) -> AuditResult:
    return await run_audit(settings, DOMAIN, **{"with_memory": False, "timeout_s": 20, **options})


async def test_an_apps_sums_are_compared_neither_within_a_void_nor_across_its_mark(
    broker: Broker, topic: Settings, database: Database
) -> None:
    made_up = Sums()
    made_up.add(0, 7)
    told = {"accounts": TableSums.of(made_up)}
    written = history(topic.topic, A, B, C, D)
    after = written.seqs()
    written.barrier("before", "c", {})
    written.barrier("in what is void", "c", told)
    written.void("v", {p: seq + 1 for p, seq in after.items()})
    written.barrier("behind", "c", {})
    written.barrier("and again", "c", {})
    written.void("w", {})
    written.barrier("behind a mark alone", "c", told)
    written.send(broker, topic)
    await project(topic)
    clean = await audit(topic)
    written.barrier("forged", "c", {})
    written.send(broker, topic)
    await project(topic)

    forged = await audit(topic)

    assert clean.findings == []
    assert "3 times an app's own sums were compared between barriers" in clean.coverage
    assert {(f.witness, f.problem, f.table) for f in forged.findings} == {
        ("memory", "differs", "accounts")
    }
    assert len(forged.findings) == 3


async def test_tables_without_what_is_void_are_equal_and_the_voids_are_named(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.void("v", {0: 3})
    written.record(deposited(A, 5, 6))
    written.void("w", {1: 4})
    written.restore("w")
    written.send(broker, topic)
    await project(topic)

    result = await audit(topic)
    records: list[Record] = []
    await read_log(topic, DOMAIN, records.append)
    row = await bisect(topic, DOMAIN, "accounts", A)

    assert (result.findings, result.all_equal, result.voids) == ([], True, ["v"])
    assert [r.error for r in records if r.error] == []
    assert [r.entity.balance for r in records if r.key == A] == [0, 1, 6, 6]
    assert (row.tables.verdict, [step.event.seq for step in row.steps]) == ("equal", [1, 3, 8])
    database.execute(f"UPDATE {topic.projection}.accounts SET balance = 9 WHERE account = '{A}'")
    assert [f.key for f in (await audit(topic)).findings] == [A]


async def test_tables_that_a_run_which_died_left_behind_are_named_and_nothing_else(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)
    await project(topic)
    written.void("v", {0: 3})
    written.record(deposited(A, 5, 6))
    written.send(broker, topic)
    assert len((await project(topic)).stopped) == 3

    result = await audit(topic)

    (found,) = result.findings
    assert (found.witness, found.problem, found.key) == ("tables", "void", "void v")
    assert found.detail == (
        "void v is in the log and not in the tables: `memferry replay --to-end`"
    )
    assert next_command(found) == "memferry replay --to-end"
    (action,) = actions_of(result)
    assert action.changes == "rows are as if what is void had never been recorded"
    assert not result.all_equal
    database.execute(f"UPDATE {topic.projection}.accounts SET balance = 9 WHERE account = '{A}'")
    assert [f.key for f in (await audit(topic)).findings] == ["void v", A]


async def test_an_audit_that_waits_for_tables_which_a_swap_brings_begins_anew_and_is_clean(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)
    async with projecting(topic) as projector:
        await eventually(lambda: projector.progress.applied == 12, "the log applied")
        position = {0: 8, 1: 7, 2: 1}
        auditing = asyncio.create_task(audit(topic, position=position))
        await eventually(
            lambda: database.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = %s",
                (f"memferry wait {topic.projection}",),
            ).fetchall(),
            "the audit waits",
        )

        void = written.void("v", {0: 3})
        written.record(deposited(A, 5, 6))
        written.send(broker, topic)
        stopped = f"SELECT FROM memferry.checkpoint WHERE projection = '{topic.projection}' "
        stopped += "AND stopped <> ''"
        await eventually(lambda: len(database.execute(stopped).fetchall()) == 3, "stopped")
        with database.transaction():  # as a swap leaves it
            rows = f"UPDATE {topic.projection}.accounts SET balance = %s WHERE account = %s"
            database.cursor().executemany(rows, [(1, A), (0, B)])
            obey(database, topic.projection, void)
        result = await asyncio.wait_for(auditing, 30)

    assert (result.findings, result.voids, result.position) == ([], ["v"], "0:8,1:7,2:1")


async def test_an_audit_waits_for_the_swap_of_a_run_that_is_under_way(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)
    await project(topic)
    void = written.void("v", {0: 3})
    written.send(broker, topic)
    await project(topic)
    database.execute(query("replay_lock"), (topic.projection,))
    with pytest.raises(VoidsMoved, match="a rollback goes on"):
        await audit(topic, timeout_s=0.2)
    auditing = asyncio.create_task(audit(topic))
    waiting = (f"memferry wait {topic.projection} notices",)
    listens = "SELECT FROM pg_stat_activity WHERE application_name = %s"
    await eventually(lambda: database.execute(listens, waiting).fetchall(), "the audit waits")

    with database.transaction():  # as a swap leaves it
        rows = f"UPDATE {topic.projection}.accounts SET balance = %s WHERE account = %s"
        database.cursor().executemany(rows, [(1, A), (0, B)])
        obey(database, topic.projection, void)
    result = await asyncio.wait_for(auditing, 30)

    assert (result.findings, result.voids) == ([], ["v"])


async def test_what_the_tables_obey_is_read_in_their_snapshot(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)
    await project(topic)
    conn = connect(topic, "test")
    known = await know(conn, topic, read_projection(conn, topic.projection), keep=False)
    void = written.void("v", {0: 3})
    obey(database, topic.projection, void)  # as a swap leaves it
    attempt = Attempt(topic, DOMAIN, Scope(with_memory=False), known, with_kept=False)

    with closing(conn), pytest.raises(VoidsMoved):
        await attempt.look(conn)


async def test_tables_that_are_held_are_audited_by_the_voids_that_they_obey(
    broker: Broker, topic: Settings, database: Database
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)
    await project(topic)
    database.execute(
        "UPDATE memferry.projection SET state = 'held' WHERE name = %s", (topic.projection,)
    )
    written.void("v", {0: 3})
    written.send(broker, topic)

    result = await audit(topic)

    assert (result.findings, result.voids, result.state) == ([], ["v"], "held")
    assert "void v is in the log and not in the tables" in result.coverage


def test_a_snapshot_in_the_midst_of_swaps_is_of_the_one_set_of_tables_or_of_the_other(
    database: Database, projection: Projection, settings: Settings
) -> None:
    beside = make(database, projection.name, DOMAIN, "shadow")
    for schema, rows in ((projection.name, 3), (beside, 5)):
        database.execute(
            f"INSERT INTO {schema}.accounts SELECT n::text, 'Ada', 0, now(), '{{}}' "
            f"FROM generate_series(1, {rows}) AS n"
        )
        database.execute(
            f"INSERT INTO {schema}.readings SELECT 'm', n, 0 FROM generate_series(1, {rows}) AS n"
        )
        moved = "UPDATE memferry.checkpoint SET next_offset = %s WHERE projection = %s"
        database.execute(moved, (rows, schema))
    done, swaps = threading.Event(), [0]

    def swap() -> None:
        with closing(connect(settings, "swapping")) as conn:
            while not done.is_set():
                exchange(conn, projection.name, beside, DOMAIN, "live", "")
                swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    seen: list[set[int]] = []
    try:
        while len(seen) < 15 or swaps[0] < 3:
            with table_snapshot(database, projection.name) as snapshot:
                counts = [snapshot.sums(DOMAIN.tables[t]).total_rows for t in DOMAIN.tables]
                seen.append({*snapshot.offsets.values(), *counts})
    finally:
        done.set()
        thread.join(30)

    assert {frozenset(found) for found in seen} == {frozenset({3}), frozenset({5})}
