import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.compare import ColumnDifference, Finding
from projector.audit.result import AuditResult
from projector.audit.run import audit as run_audit
from projector.audit.scope import BarrierLate
from projector.checkpoint import claim, stop_partition
from projector.control_tables import ProjectionMissing, read_projection
from projector.sources import SourceSilent
from schemas.lane import partition_of
from schemas.settings import Outbox, Relay, Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, Account
from tests.projector.audit.conftest import OPENED, Live
from tests.projector.projecting import ends, eventually, project, projecting
from tests.projector.replaying import replay_to


async def audit(settings: Settings, *, memory: bool = True, timeout_s: float = 20) -> AuditResult:
    return await run_audit(settings, DOMAIN, with_memory=memory, timeout_s=timeout_s)


def said(result: AuditResult) -> set[str]:
    return {str(finding) for finding in result.findings}


@pytest.mark.usefixtures("projector")
async def test_memory_log_and_tables_are_equal(live: Live, settings: Settings) -> None:
    result = await audit(settings)

    assert result.findings == []
    assert result.all_equal
    assert result.equal == {"accounts": True, "readings": True}
    assert result.rows == {"accounts": 4, "readings": 5}
    assert result.memory_rows == {"accounts": 4, "readings": 3}
    assert (result.sources, result.memory_compared) == (["app-1"], True)
    assert result.events == 10 + 3  # and a barrier in each partition


@pytest.mark.usefixtures("projector")
async def test_there_is_no_false_alarm_while_the_app_goes_on(
    live: Live, settings: Settings
) -> None:
    done, recorded = threading.Event(), [0]

    def trade() -> None:
        while not done.is_set():
            number = recorded[0] = recorded[0] + 1
            live.open(f"new-{number}")
            live.deposit(f"new-{number // 2 + 1}", 1)
            live.read(f"m-{number % 2}", number + 5)
            live.deposit("a", 1).durable(5)

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        results = [await audit(settings) for _ in range(3)]
    finally:
        done.set()
        thread.join(10)

    assert [result.findings for result in results] == [[], [], []]
    assert [result.continued_from != "" for result in results] == [False, True, True]
    assert all(result.events > 3 for result in results)
    assert recorded[0] > 20


@pytest.mark.usefixtures("projector")
async def test_rows_changed_deleted_and_inserted_in_the_tables_are_each_found(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    accounts = f"{settings.projection}.accounts"
    database.execute(f"UPDATE {accounts} SET balance = balance + 0.01 WHERE account = 'a'")
    database.execute(f"DELETE FROM {accounts} WHERE account = 'b'")
    database.execute(f"INSERT INTO {accounts} VALUES ('z', 'Eve', 1, now(), '{{}}')")
    database.execute(f"DELETE FROM {settings.projection}.readings WHERE number = 1")

    result = await audit(settings)

    assert said(result) == {
        "tables: table accounts, key a (stream account/a): differs",
        "tables: table accounts, key b (stream account/b): missing",
        "tables: table accounts, key z: extra",
        "tables: table readings, key m-0/1 (stream reading/m-0): missing",
    }
    assert result.equal == {"accounts": False, "readings": False}
    assert not result.all_equal
    (changed,) = (finding for finding in result.findings if finding.problem == "differs")
    assert changed.columns == [ColumnDifference("balance", "5.01", "5")]
    (added,) = (finding for finding in result.findings if finding.problem == "extra")
    assert added.detail == "no event of the log explains this row"


@pytest.mark.usefixtures("projector")
async def test_memory_changed_behind_the_shims_back_is_found(
    live: Live, settings: Settings
) -> None:
    live.forge("a")
    del live.accounts["b"]
    live.accounts["z"] = Account("z", "Eve", live.accounts["c"].balance, OPENED)
    del live.readings["m-0"][1]

    result = await audit(settings)

    assert said(result) == {
        "memory: table accounts, key a (stream account/a): differs",
        "memory: table accounts, key b (stream account/b): missing",
        "memory: table accounts, key z: extra",
        "memory: table readings, key m-0/4 (stream reading/m-0): missing",
    }


@pytest.mark.usefixtures("projector")
async def test_entities_under_keys_that_are_not_theirs_are_found(
    live: Live, settings: Settings
) -> None:
    live.accounts["a"], live.accounts["b"] = live.accounts["b"], live.accounts["a"]
    live.readings["m-0"].append(live.readings["m-0"][-1])

    result = await audit(settings)

    misplaced = [finding for finding in result.findings if finding.problem == "misplaced"]
    assert {finding.witness for finding in misplaced} == {"memory"}
    assert len(misplaced) == 3
    assert not result.all_equal


@pytest.mark.usefixtures("projector")
async def test_what_an_app_did_to_its_memory_and_did_not_write_is_found_at_the_next_barrier(
    live: Live, settings: Settings
) -> None:
    assert (await audit(settings)).all_equal
    count = live.ferry.digests.of(ACCOUNT)
    assert count is not None
    live.deposit("b", 3)
    live.ferry.digests.settle()
    count.sums[partition_of("account/b", 3)][0].change(None, 7)

    result = await audit(settings)

    (finding,) = result.findings
    assert (finding.witness, finding.table, finding.key) == ("memory", "accounts", "bucket 7")
    assert "is not what it wrote to the log" in finding.detail


async def test_an_app_with_a_past_is_equal_once_its_snapshot_is_recorded(
    settings: Settings, make_live: Callable[..., Live]
) -> None:
    past = {name: Account(name, "Ada", Decimal(7), OPENED) for name in "abc"}
    live = make_live(settings, accounts=past)
    live.ferry.snapshot()
    assert live.ferry.snapshot_done.wait(10)

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 3, "the snapshot applied")
        result = await audit(settings)

    assert result.findings == []
    assert result.memory_rows["accounts"] == 3


@pytest.mark.usefixtures("projector")
async def test_every_source_is_asked_and_compared_with_its_own_streams(
    live: Live, settings: Settings, make_live: Callable[..., Live]
) -> None:
    second = make_live(
        msgspec.structs.replace(settings, source="app-2", outbox=Outbox(path="second.db"))
    )
    second.open("x", "y").replicated(10)
    clean = await audit(settings)
    second.forge("x")

    forged = await audit(settings)

    assert (clean.sources, clean.findings) == (["app-1", "app-2"], [])
    assert clean.memory_rows["accounts"] == 6
    assert said(forged) == {"memory: table accounts, key x (stream account/x): differs"}


@pytest.mark.usefixtures("projector")
async def test_a_retired_source_is_not_asked_and_no_memory_is_not_a_clean_memory(
    live: Live, settings: Settings
) -> None:
    live.ferry.retire()
    live.ferry.close()

    result = await audit(settings)

    assert (result.sources, result.memory_compared) == (["app-1"], False)
    assert result.all_equal


async def test_a_projection_held_in_the_past_is_compared_there(
    live: Live, settings: Settings
) -> None:
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
    position = {p: end // 2 for p, end in (await ends(settings)).items()}
    await replay_to(settings, position)
    clean = await audit(settings)
    live.forge("a")

    forged = await audit(settings)

    assert clean.findings == []
    assert clean.position == ",".join(f"{p}:{o}" for p, o in position.items())
    assert clean.memory_compared
    assert said(forged) == {"memory: table accounts, key a (stream account/a): differs"}


@pytest.mark.usefixtures("projector")
async def test_an_app_that_does_not_run_is_named_with_what_to_do(
    live: Live, settings: Settings
) -> None:
    live.ferry.close()

    with pytest.raises(SourceSilent) as silent:
        await audit(settings, timeout_s=0.2)

    assert silent.value.where == "source app-1"
    assert "--without-memory" in silent.value.remedy


async def test_a_barrier_that_no_relay_carries_is_late(
    live: Live, settings: Settings, make_live: Callable[..., Live]
) -> None:
    live.ferry.close()
    make_live(msgspec.structs.replace(settings, relay=Relay(mode="process")))
    await project(settings)

    with pytest.raises(BarrierLate) as late:
        await audit(settings, timeout_s=0.5)

    assert "source 'app-1' is not in the log" in late.value.what
    assert late.value.where.startswith(f"topic {settings.topic}.1, partition")
    assert "relay" in late.value.remedy


async def test_a_barrier_that_no_projector_applies_is_late(live: Live, settings: Settings) -> None:
    await project(settings)

    with pytest.raises(BarrierLate) as late:
        await audit(settings, timeout_s=0.5)

    assert "the tables did not reach" in late.value.what
    assert late.value.where == f"projection {settings.projection}"
    assert "memferry project" in late.value.remedy


async def test_a_stopped_partition_is_why_a_barrier_is_late(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await project(settings)
    held = claim(database, read_projection(database, settings.projection), "live")
    for partition in range(3):
        stop_partition(database, held, partition, "events 2 to 3 are missing from the log")

    with pytest.raises(BarrierLate) as late:
        await audit(settings, timeout_s=0.5)

    assert "it stopped: events 2 to 3 are missing" in late.value.what


async def test_a_projection_that_is_not_there_is_named(live: Live, settings: Settings) -> None:
    with pytest.raises(ProjectionMissing):
        await audit(settings)


def test_findings_are_written_for_people() -> None:
    finding = Finding("memory", "differs", "accounts", "a", "account/a")

    assert str(finding) == "memory: table accounts, key a (stream account/a): differs"
