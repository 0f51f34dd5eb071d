"""An older database brought back without memferry: it learns from the control topic first."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from projector.backup.programs import environment, find_programs
from projector.backup.shelf import Shelf
from projector.backup.taking import take
from projector.control_tables import read_projection
from projector.replay.beside import beside_of, copy, drop
from projector.replay.savepoints import list_all
from projector.replay.savepoints import take as take_savepoint
from projector.route import read_route
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.backup.conftest import History
from tests.projector.backup.test_restoring import Connection, switch
from tests.projector.projecting import project


def restore_by_hand(conn: Connection, settings: Settings, dump: Path) -> None:
    programs = find_programs(settings, conn.info.server_version)
    arguments = ["--no-owner", "--exit-on-error", f"--dbname={conn.info.dbname}", str(dump)]
    command = [str(programs.path("pg_restore")), *arguments]
    subprocess.run(command, check=True, env=environment(conn))


async def test_an_older_database_brought_back_by_hand_forgets_nothing(
    history: History,
    settings: Settings,
    database: Connection,
    new_database: Callable[[Settings], Settings],
) -> None:
    name = settings.projection
    kept, _ = copy(settings, DOMAIN, name, "savepoint", savepoint="s")
    take(settings, name, "b")
    drop(database, kept)
    await take_savepoint(database, settings, name, "later-than-the-backup")
    await switch(database, settings, "postgres", 30)
    history.write("h-1", "h-2")
    new = new_database(settings)

    with psycopg.connect(new.postgres.dsn, autocommit=True) as conn:
        restore_by_hand(conn, settings, Shelf(settings.backup_path).path("b") / "database.dump")
        before = read_route(conn, name)
        await project(new)

        assert before.epoch < 30
        found = read_route(conn, name)
        assert (found.route, found.epoch) == ("postgres", 30)
        assert conn.execute("SELECT epoch FROM memferry.epoch").fetchone() == (30,)
        assert "later-than-the-backup" in [point.name for point in list_all(conn, name)]
        assert tables(conn, name) == history.app.expected()
        assert read_projection(conn, name).state == "live"
        assert beside_of(conn, name) == []  # its tables are in no backup
    await switch(database, settings, "memory", 31)
