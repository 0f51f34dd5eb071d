import os
import socket
from collections.abc import Callable

import psycopg
import pytest

from projector.replay.beside import drop, make
from projector.replay.runs import begin_run, end_run, lock_runs
from tests.compose.cli.conftest import Done, Ledger
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import Paused, Stage


def test_status_shows_where_everything_stands(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    memferry("savepoint", "take", "here", environment=projected.environment)

    shown = memferry("status", environment=projected.environment)
    document = memferry("status", "--json", environment=projected.environment)

    assert shown.code == document.code == 0
    assert f"projection {projected.settings.projection} is live" in shown.out
    assert "reads go to memory, epoch 1" in shown.out
    assert "migration" not in shown.out
    assert "source app-1: snapshot not complete" in shown.out
    assert "outbox of app-1: 22 events durable, 0 wait for Kafka" in shown.out
    found = document.json()
    assert [(p["partition"], p["next_offset"], p["lag"]) for p in found["partitions"]] == [
        (0, 7, 0), (1, 7, 0), (2, 7, 0)
    ]  # fmt: skip
    assert found["outbox"] == {"durable": 22, "waiting": 0}
    assert [source["name"] for source in found["sources"]] == ["app-1"]
    assert "here" in [savepoint["name"] for savepoint in found["savepoints"]]
    assert found["trail_intact"] is True
    assert found["route"] == {"route": "memory", "epoch": 1, "decision": 0}
    assert found["migration"] is None


def test_status_says_why_a_projection_is_held(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    memferry("replay", "--to-offset", "0:1,1:1,2:1", environment=projected.environment)

    shown = memferry("status", environment=projected.environment)

    assert shown.code == 0
    words = " ".join(shown.out.split())
    assert "is held (replayed to 0:1,1:1,2:1)" in words
    assert "last replay: finished at " in words
    assert f"kept beside: {projected.settings.projection}__" in words


@pytest.mark.parametrize("alive", [True, False])
def test_status_shows_a_running_replay_or_that_it_died(
    projected: Ledger, memferry: Callable[..., Done], alive: bool
) -> None:
    name = projected.settings.projection
    with psycopg.connect(projected.settings.postgres.dsn, autocommit=True) as conn:
        if alive:
            lock_runs(conn, name)
        plan = {"position": "0:7,1:7,2:7"}
        run = begin_run(conn, name, "rollback", "building", plan)
        shadow = make(conn, name, DOMAIN, "shadow", run=run)
        try:
            shown = memferry("status", environment=projected.environment)
        finally:
            end_run(conn, run, "undone")
            drop(conn, shadow)

    words = " ".join(shown.out.split())
    if alive:
        assert f"rollback by {socket.gethostname()} process {os.getpid()}: building since " in words
        assert "; at 0:0,1:0,2:0 of 0:7,1:7,2:7" in words
    else:
        assert "died at its step building: the next replay, rollback or void finishes" in words


def test_a_projection_that_is_not_there_ends_with_2(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("status", environment=ledger.environment | {"MEMFERRY_PROJECTION": "nowhere"})

    assert (done.code, done.out) == (2, "")
    assert "there is no projection 'nowhere'" in done.said
    assert "memferry project" in done.said


def test_status_shows_a_running_migration_its_holder_and_its_phase(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    paused = Paused(trading, "INCREMENTAL_SYNC")

    shown = commands("status")
    refused = commands("migrate", "--zero-downtime")
    paused.go()

    words = " ".join(shown.out.split())
    assert shown.code == 0
    assert f"zero downtime migration by {socket.gethostname()} process {os.getpid()}: " in words
    assert "phase INCREMENTAL_SYNC since 2" in words
    assert (refused.code, refused.out) == (2, "")
    assert "it is in phase INCREMENTAL_SYNC since " in refused.said
    assert "next wait for it" in refused.said
