"""kill -9 of a restore at each of its steps: the old tables or the new ones; the next finishes."""

import signal
from collections.abc import Callable

import psycopg

from projector.audit.run import audit
from projector.backup.restoring import restore
from projector.backup.taking import take
from projector.control_tables import read_projection
from projector.replay.beside import beside_of
from projector.replay.runs import newest_run
from projector.replay.undoing import release_kept
from projector.sql import query
from projector.trail import first_broken
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.backup.child import bring_back
from tests.projector.backup.conftest import History
from tests.projector.backup.test_restoring import Connection, at
from tests.projector.migration.child import start
from tests.projector.projecting import eventually, project

OLD = (
    "one control table is read",
    "tables are made",
    "one table is filled",
    "all tables are filled",
    "the swap is recorded",
)
"""Behind the last of these the transaction of the swap is not committed yet."""


def free(settings: Settings) -> bool:
    with psycopg.connect(settings.postgres.dsn) as conn:
        row = conn.execute(query("replay_lock"), (settings.projection,)).fetchone()
        return bool(row and row[0])


async def kill(settings: Settings, point: str) -> None:
    process = start(bring_back, settings, "b", point)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL, point
    await eventually(lambda: free(settings), "the dead restore's lock is free")


async def test_a_restore_that_is_killed_leaves_the_old_tables_or_the_new_ones(
    history: History, settings: Settings, database: Connection
) -> None:
    name = settings.projection
    new = at(database, name)
    take(settings, name, "b")
    history.write("k-1", "k-2")
    await project(settings)
    old = at(database, name)

    for point in OLD:
        await kill(settings, point)

        assert at(database, name) == old, point
        assert read_projection(database, name).state == "live"
    await kill(settings, "the swap took place")
    assert at(database, name) == new
    run = newest_run(database, name)
    assert run is not None
    assert run.state == "finished"
    assert first_broken(database) is None

    await restore(settings, DOMAIN, "b")

    assert at(database, name) == new
    assert {one.purpose for one in beside_of(database, name)} == {"swapped"}
    await project(settings)
    assert tables(database, name) == history.app.expected()
    assert (await audit(settings, DOMAIN, with_memory=False)).all_equal
    await release_kept(settings, DOMAIN)
    assert beside_of(database, name) == []


async def test_a_new_server_is_restored_behind_a_kill(
    settings: Settings,
    database: Connection,
    new_database: Callable[[Settings], Settings],
) -> None:
    name = settings.projection
    manifest = take(settings, name, "b")
    new = new_database(settings)

    await kill(new, "the restore is recorded")
    await restore(new, DOMAIN, "b")

    with psycopg.connect(new.postgres.dsn) as conn:
        assert at(conn, name) == at(database, name)
        entry = conn.execute("SELECT chain FROM memferry.trail WHERE id = %s", (manifest.trail,))
        assert entry.fetchone() == (manifest.trail_chain,)
        assert first_broken(conn) is None
