"""Restores: into the database that went on, and into an empty one."""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from projector.audit.run import audit
from projector.backup.history import TrailForked
from projector.backup.restoring import RestoreRefused, restore
from projector.backup.shelf import BackupDamaged, Shelf
from projector.backup.taking import take
from projector.checkpoint import Fenced
from projector.control_tables import establish, read_projection
from projector.control_topic import read_control
from projector.decisions import decide, publish_decisions
from projector.log import LogReplaced, OffsetsGone
from projector.migration.record import MigrationInProgress, lock
from projector.replay.beside import beside_of
from projector.replay.savepoints import list_all
from projector.replay.savepoints import take as take_savepoint
from projector.replay.undoing import release_kept, undo_swap
from projector.route import ReadsInPostgres, read_route
from projector.trail import first_broken, note
from schemas.control import ReadsSwitched
from schemas.domain import Domain
from schemas.settings import Settings
from schemas.trading import DOMAIN as TRADING
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.backup.conftest import History
from tests.projector.backup.test_taking import trail
from tests.projector.backup.test_verifying import flip_a_bit
from tests.projector.projecting import eventually, project, projecting
from tests.projector.segments import Worker, lanes_in, offsets_in

Connection = psycopg.Connection[Any]


def at(conn: Connection, name: str) -> Any:
    """Return everything that commits together."""
    return tables(conn, name), offsets_in(conn, name), lanes_in(conn, name)


def switched(settings: Settings, route: Any, epoch: int) -> ReadsSwitched:
    return ReadsSwitched(settings.projection, route, epoch, "f", {}, "ada@desk")


async def switch(conn: Connection, settings: Settings, route: Any, epoch: int) -> None:
    with conn.transaction():
        assert decide(conn, settings, switched(settings, route, epoch))
    await publish_decisions(conn, settings)


def terms(conn: Connection, name: str) -> list[int]:
    rows = conn.execute("SELECT term FROM memferry.checkpoint WHERE projection = %s", (name,))
    return [term for (term,) in rows]


async def test_tables_are_as_they_were_and_catch_up(
    history: History, settings: Settings, database: Connection
) -> None:
    name = settings.projection
    before = at(database, name)
    manifest = take(settings, name, "b")
    history.write("a-1", "a-2")
    await project(settings)
    ahead, highest = at(database, name), max(terms(database, name))

    done = await restore(settings, DOMAIN, "b")

    assert at(database, name) == before != ahead
    assert manifest.rows == done.rows == {t: len(rows) for t, rows in before[0].items()}
    assert read_projection(database, name)[4:6] == ("live", "")
    assert min(terms(database, name)) > highest
    (kept,) = beside_of(database, name)
    assert (kept.name, kept.purpose) == (done.kept, "swapped")
    assert at(database, kept.name) == ahead
    said = trail(database, "restored")[-1]
    assert (said["position"], said["kept"]) == (done.position, kept.name)
    assert trail(database, "restore started")[-1]["sha256"] == manifest.dump.sha256
    assert first_broken(database) is None
    await project(settings)
    assert tables(database, name) == history.app.expected()
    assert (await audit(settings, DOMAIN, with_memory=False)).all_equal
    await undo_swap(settings, DOMAIN)
    assert at(database, name) == ahead
    await release_kept(settings, DOMAIN)


async def test_projectors_go_on_from_there_and_zombies_commit_nothing(
    history: History, settings: Settings, database: Connection
) -> None:
    name = settings.projection
    take(settings, name, "b")
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        zombie = Worker(conn, read_projection(database, name))
        async with projecting(settings):
            history.write("z-1", "z-2", "z-3")
            await eventually(
                lambda: tables(database, name) == history.app.expected(), "all is applied"
            )
            done = await restore(settings, DOMAIN, "b")
            assert done.before != done.position
            await eventually(
                lambda: tables(database, name) == history.app.expected(), "all is applied again"
            )

        with pytest.raises(Fenced):
            zombie.transactions.apply(zombie.segments(history.app))
    await release_kept(settings, DOMAIN)


async def test_a_new_server_gets_rows_trail_and_all_that_the_control_topic_says(
    history: History,
    settings: Settings,
    database: Connection,
    new_database: Callable[[Settings], Settings],
) -> None:
    name = settings.projection
    await take_savepoint(database, settings, name, "before-the-backup")
    with database.transaction():  # made, and not published when the backup is taken
        decide(database, settings, switched(settings, "shadow", 5))
    before = at(database, name)
    manifest = take(settings, name, "b")
    await publish_decisions(database, settings)
    await take_savepoint(database, settings, name, "behind-the-backup")
    await switch(database, settings, "postgres", 9)
    new = new_database(settings)

    done = await restore(new, DOMAIN, "b")

    with psycopg.connect(new.postgres.dsn, autocommit=True) as conn:
        assert at(conn, name) == before
        assert done.kept == ""
        assert beside_of(conn, name) == []
        assert done.trail == manifest.trail > 0
        entry = conn.execute("SELECT chain FROM memferry.trail WHERE id = %s", (manifest.trail,))
        assert entry.fetchone() == (manifest.trail_chain,)
        assert first_broken(conn) is None
        names = [point.name for point in list_all(conn, name)]
        assert names[-2:] == ["before-the-backup", "behind-the-backup"]
        assert read_route(conn, name).route == "postgres"
        assert read_route(conn, name).epoch == 9
        await project(new)
        assert tables(conn, name) == history.app.expected()
        await switch(conn, new, "memory", 10)  # the lane of decisions goes on
    await read_control(database, settings)
    assert read_route(database, name).route == "memory"


async def test_a_decision_that_only_the_backup_has_is_published(
    settings: Settings, database: Connection, new_database: Callable[[Settings], Settings]
) -> None:
    with database.transaction():
        decide(database, settings, switched(settings, "shadow", 15))
    take(settings, settings.projection, "b")
    new = new_database(settings)

    await restore(new, DOMAIN, "b")

    with psycopg.connect(new.postgres.dsn, autocommit=True) as conn:
        found = read_route(conn, settings.projection)
        assert (found.route, found.epoch) == ("shadow", 15)
        await switch(conn, new, "memory", 16)
    await read_control(database, settings)
    assert read_route(database, settings.projection).epoch == 16


async def test_what_does_not_belong_there_is_refused_and_changes_nothing(
    history: History, settings: Settings, database: Connection
) -> None:
    name = settings.projection
    take(settings, name, "b")
    take(settings, name, "bent")
    flip_a_bit(Shelf(settings.backup_path).path("bent"))
    history.write("r-1")
    await project(settings)
    before = at(database, name)
    replace = msgspec.structs.replace
    other = Domain(DOMAIN.name, DOMAIN.kinds, DOMAIN.ddl.replace("number bigint", "number int8"))

    with pytest.raises(BackupDamaged):
        await restore(settings, DOMAIN, "bent")
    with pytest.raises(RestoreRefused, match="topic"):
        await restore(replace(settings, topic="another"), DOMAIN, "b")
    with pytest.raises(RestoreRefused, match="projection"):
        await restore(replace(settings, projection="another"), DOMAIN, "b")
    with pytest.raises(RestoreRefused, match=r"other code \(reading: tables\)"):
        await restore(settings, other, "b")
    await switch(database, settings, "postgres", 20)
    with pytest.raises(ReadsInPostgres):
        await restore(settings, DOMAIN, "b")
    await switch(database, settings, "memory", 21)
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as migrating:
        lock(migrating, name)
        with pytest.raises(MigrationInProgress):
            await restore(settings, DOMAIN, "b")

    assert at(database, name) == before
    assert beside_of(database, name) == []
    assert read_projection(database, name).state == "live"


async def test_a_trail_that_went_another_way_is_kept_and_the_restore_refused(
    settings: Settings, new_database: Callable[[Settings], Settings], database: Connection
) -> None:
    with database.transaction():
        note(database, "something", {}, {})
    take(settings, settings.projection, "b")
    new = new_database(settings)
    with psycopg.connect(new.postgres.dsn, autocommit=True) as conn:
        establish(conn, new, DOMAIN, 3)
        with conn.transaction():
            note(conn, "something else", {}, {})

        with pytest.raises(TrailForked):
            await restore(new, DOMAIN, "b")

        assert len(trail(conn, "something else")) == 1
        assert first_broken(conn) is None
        assert beside_of(conn, settings.projection) == []


async def test_a_backup_of_a_topic_that_is_gone_is_refused(
    history: History, settings: Settings, new_database: Callable[[Settings], Settings]
) -> None:
    shelf = Shelf(settings.backup_path)
    take(settings, settings.projection, "b")
    manifest = shelf.manifest("b")
    replace = msgspec.structs.replace
    cases = {
        LogReplaced: replace(manifest, tails={0: "0" * 64}),
        OffsetsGone: replace(manifest, position={p: 10_000 for p in manifest.position}),
    }
    for error, altered in cases.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("projector.backup.restoring.look", lambda *_, found=altered: found)
            with pytest.raises(error):
                await restore(settings, DOMAIN, "b")


async def test_months_come_back(
    settings: Settings, database: Connection, new_database: Callable[[Settings], Settings]
) -> None:
    replace = msgspec.structs.replace
    trading = replace(settings, domain="schemas.trading", projection=f"{settings.projection}_m")
    establish(database, trading, TRADING, 3)
    bars = sql.Identifier(trading.projection, "market_bars")
    month = sql.Identifier(trading.projection, "market_bars_2024_05")
    database.execute(
        sql.SQL(
            "CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ('2024-05-01') TO ('2024-06-01')"
        ).format(month, bars)
    )
    database.execute(
        sql.SQL("INSERT INTO {} VALUES ('A', '2024-05-02', 1, 2, 4, 1, 3, 7)").format(bars)
    )
    manifest = take(trading, trading.projection, "b")
    new = new_database(trading)

    done = await restore(new, TRADING, "b")

    assert done.rows["market_bars"] == manifest.rows["market_bars"] == 1
    with psycopg.connect(new.postgres.dsn) as conn:
        rows = conn.execute(sql.SQL("SELECT * FROM {}").format(month)).fetchall()
    assert rows == database.execute(sql.SQL("SELECT * FROM {}").format(bars)).fetchall()
