"""The final rollback: memory, log and tables go on without the ends of streams; and with them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.run import audit
from projector.replay.apps import VoidRefused
from projector.replay.beside import beside_of, drop
from projector.replay.replaying import replay
from projector.replay.runs import newest_run
from projector.replay.target import Target
from projector.replay.voiding import Voided, VoidUnknown, unvoid, void_tail
from projector.sources import SourceSilent
from projector.trail import first_broken
from projector.voids import list_voids
from schemas.position import format_offsets
from schemas.settings import Migration, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import DEADLINE_S, WRITTEN, Stage
from tests.projector.segments import offsets_in

Connection = psycopg.Connection[Any]


@pytest.fixture
def stage(make_settings: Callable[..., Settings], database: Connection) -> Iterator[Stage]:
    """An app all of which is in the log, with a projector."""
    stage = Stage(make_settings(migration=Migration(max_downtime_ms=4_000)))
    stage.project()
    stage.ferry.snapshot()
    assert stage.ferry.snapshot_done.wait(DEADLINE_S)
    _settle(stage)
    yield stage
    for one in beside_of(database, stage.settings.projection):
        drop(database, one.name)
    stage.close()


def _settle(stage: Stage) -> None:
    for name in WRITTEN:
        stage.deposit(name).applied(DEADLINE_S)


def _here(stage: Stage, database: Connection) -> Target:
    return Target(offset=format_offsets(offsets_in(database, stage.settings.projection)))


def _void(stage: Stage, target: Target, **more: Any) -> Voided:
    return asyncio.run(void_tail(stage.settings, DOMAIN, target, reason="a test", **more))


def _all_equal(stage: Stage) -> list[Any]:
    result = asyncio.run(audit(stage.settings, DOMAIN, timeout_s=DEADLINE_S))
    assert result.memory_compared
    assert result.tables_compared
    return list(result.findings)


def test_what_is_behind_the_position_counts_in_memory_log_and_tables_no_more(
    stage: Stage, database: Connection
) -> None:
    position, then = _here(stage, database), dict(stage.accounts)
    untouched = stage.accounts["old-3"]
    container = stage.ferry.stores()["account"]
    for name in (*WRITTEN, "old-1"):
        stage.deposit(name).applied(DEADLINE_S)

    done = _void(stage, position)
    after = dict(stage.accounts)
    stage.deposit("w-0").applied(DEADLINE_S)

    assert after == then
    assert stage.accounts["old-3"] is untouched
    assert stage.ferry.stores()["account"] is container
    assert (done.sources, done.left_out, done.streams) == (["app-1"], [], 5)
    assert _all_equal(stage) == []
    assert [one.restored_at for one in list_voids(database, stage.settings.topic)] == [None]
    assert first_broken(database) is None
    noted = database.execute(
        "SELECT action FROM memferry.trail WHERE after ->> 'projection' = %s ORDER BY id",
        (stage.settings.projection,),
    ).fetchall()
    assert [action for (action,) in noted][-2:] == ["rollback started", "replay finished"]


def test_named_streams_alone_are_void_and_count_again(stage: Stage, database: Connection) -> None:
    position, then = _here(stage, database), dict(stage.accounts)
    stage.deposit("w-0").applied(DEADLINE_S)
    stage.deposit("w-1").applied(DEADLINE_S)
    later = dict(stage.accounts)

    done = _void(stage, position, streams=["account/w-0"], kind="void")
    between = dict(stage.accounts)
    stage.deposit("w-1").applied(DEADLINE_S)
    clean = _all_equal(stage)
    back = asyncio.run(unvoid(stage.settings, DOMAIN, done.void, reason="a test"))

    assert between == {**later, "w-0": then["w-0"]}
    assert clean == []
    assert stage.accounts["w-0"] == later["w-0"]
    assert (back.sources, back.streams) == (["app-1"], 1)
    stage.deposit("w-0").applied(DEADLINE_S)
    assert _all_equal(stage) == []


def test_a_void_that_newer_events_stand_on_is_not_reversed(
    stage: Stage, database: Connection
) -> None:
    position = _here(stage, database)
    stage.deposit("w-0").applied(DEADLINE_S)
    done = _void(stage, position)
    stage.deposit("w-0").applied(DEADLINE_S)
    before = dict(stage.accounts)

    with pytest.raises(VoidRefused, match="account/w-0"):
        asyncio.run(unvoid(stage.settings, DOMAIN, done.void, reason="a test"))
    with pytest.raises(VoidUnknown):
        asyncio.run(unvoid(stage.settings, DOMAIN, "nothing", reason="a test"))

    assert stage.accounts == before
    assert _all_equal(stage) == []


def test_a_position_before_first_snapshots_is_refused_and_changes_nothing(
    stage: Stage, database: Connection
) -> None:
    before = dict(stage.accounts)

    with pytest.raises(VoidRefused, match="first snapshot"):
        _void(stage, Target(offset="0:0,1:0,2:0"))

    run = newest_run(database, stage.settings.projection)
    assert run is not None
    assert run.state == "undone"
    assert stage.accounts == before
    assert beside_of(database, stage.settings.projection) == []
    assert _all_equal(stage) == []


def test_without_the_app_nothing_is_void(
    stage: Stage, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = _here(stage, database)
    stage.deposit("w-0").applied(DEADLINE_S)
    monkeypatch.setattr("projector.replay.apps._PREPARE_S", 0.5)
    stage.ferry.close()

    with pytest.raises(SourceSilent):
        _void(stage, position)

    assert list_voids(database, stage.settings.topic) == []
    assert beside_of(database, stage.settings.projection) == []


VOID = """
import asyncio, os, signal, sys
import msgspec
from projector.replay import apps, settling, voiding
from projector.replay.target import Target
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
settings = msgspec.json.decode(sys.argv[1], type=Settings)
moment = sys.argv[2]
if moment == "prepared":
    voiding.commit = die
elif moment == "decided":
    heard = voiding._heard
    voiding.swap_following = die
elif moment == "fenced":
    apps.fences.wait_for = die
asyncio.run(
    voiding.void_tail(settings, DOMAIN, Target(offset=sys.argv[3]), reason="a test")
)
"""


@pytest.mark.parametrize("moment", ["prepared", "fenced", "decided"])
def test_a_run_that_is_killed_is_finished_or_undone_by_the_next(
    stage: Stage, database: Connection, moment: str
) -> None:
    position, then = _here(stage, database), dict(stage.accounts)
    stage.deposit("w-0").applied(DEADLINE_S)
    later = dict(stage.accounts)
    arguments = [msgspec.json.encode(stage.settings).decode(), moment, position.offset or ""]
    killed = subprocess.run(
        [sys.executable, "-c", VOID, *arguments],
        cwd=Path(__file__).parents[3], check=False, env=dict(os.environ),
    )  # fmt: skip
    assert killed.returncode == -9
    dead = newest_run(database, stage.settings.projection)
    assert dead is not None
    assert dead.state == "running"

    asyncio.run(replay(stage.settings, DOMAIN, Target(end=True)))

    row = database.execute("SELECT state FROM memferry.replay WHERE id = %s", (dead.id,)).fetchone()
    assert row == (("finished" if moment == "decided" else "undone"),)
    assert stage.accounts == (then if moment == "decided" else later)
    stage.deposit("w-0").applied(DEADLINE_S)
    assert _all_equal(stage) == []
