"""A rebuild whose processes are killed: what was committed stays, and the next one goes on."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import msgspec
import psutil
import psycopg
import pytest

from projector.progress import Progress
from projector.replay.beside import make
from projector.replay.rebuild import rebuild
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project
from tests.projector.replay.rebuild.histories import publish
from tests.projector.test_any_delivery import stored

EVENTS = 400
_CHILD = """
import asyncio, sys, msgspec
from projector.replay.rebuild import rebuild
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
settings, name, until = msgspec.json.decode(
    sys.stdin.readline(), type=tuple[Settings, str, dict[int, int]]
)
def show(progress):
    print(progress.applied, flush=True)
    if progress.applied:
        sys.stdin.readline()
asyncio.run(rebuild(settings, DOMAIN, name, until, processes=2, on_progress=show))
"""


@pytest.fixture
async def wanted(
    settings: Settings, broker: Broker, database: psycopg.Connection[Any]
) -> tuple[Settings, str, dict[int, int]]:
    """Settings of small transactions, empty tables beside those of a projector, and the end."""
    projector = msgspec.structs.replace(settings.projector, batch_events=20)
    publish(broker, settings, EVENTS, 5)
    end = await ends(settings)
    await project(settings, end)
    name = make(database, settings.projection, DOMAIN, "shadow")
    return msgspec.structs.replace(settings, projector=projector), name, end


def position(conn: psycopg.Connection[Any], name: str) -> int:
    statement = "SELECT sum(next_offset) FROM memferry.checkpoint WHERE projection = %s"
    row = conn.execute(statement, (name,)).fetchone()
    return int(row[0]) if row else 0


async def test_its_workers_end_with_it_and_the_next_one_goes_on(
    wanted: tuple[Settings, str, dict[int, int]], database: psycopg.Connection[Any]
) -> None:
    settings, name, end = wanted
    parent = subprocess.Popen(  # noqa: ASYNC220  (it is only begun here)
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(msgspec.json.encode(wanted) + b"\n")
    parent.stdin.flush()
    while int(parent.stdout.readline()) == 0:
        pass  # until something is committed; there it waits
    workers = psutil.Process(parent.pid).children()

    parent.kill()
    parent.communicate()

    await eventually(lambda: not any(map(psutil.pid_exists, [w.pid for w in workers])), "no worker")
    before = position(database, name)
    progress = await rebuild(settings, DOMAIN, name, end, processes=2)
    assert len(workers) == 1
    assert 0 < before < sum(end.values())
    assert progress.applied < EVENTS * len(end)
    assert stored(database, name) == stored(database, settings.projection)


async def test_a_worker_that_is_killed_is_replaced(
    wanted: tuple[Settings, str, dict[int, int]], database: psycopg.Connection[Any]
) -> None:
    settings, name, end = wanted
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.applied and not killed:
            for child in psutil.Process().children():
                with suppress(psutil.ZombieProcess):  # of another test
                    if "projector.replay.rebuild.worker" in child.cmdline():
                        killed.append(child.pid)
                        child.kill()

    await rebuild(settings, DOMAIN, name, end, processes=2, on_progress=kill)

    assert killed
    assert stored(database, name) == stored(database, settings.projection)
