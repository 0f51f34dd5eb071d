"""The backup with which a migration begins."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec
import pytest

from projector.backup.shelf import Shelf
from projector.backup.taking import BEFORE_MIGRATION
from projector.migration.interface import NothingToSwitch, ZeroDowntimeMigration
from schemas.settings import Backup
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import Stage
from tests.projector.migration.test_run_killed import kill


@pytest.fixture(scope="module")
def trading(make_module_stage: Callable[[], Stage]) -> Stage:
    return make_module_stage()


@pytest.fixture
def stage(trading: Stage) -> Iterator[Stage]:
    """It writes throughout; every run begins with the reads in memory."""
    trading.write()
    yield trading
    with suppress(NothingToSwitch):
        trading.migration().switch_back(without_audit=True)
    trading.rest()


def with_backups(stage: Stage, **changes: object) -> ZeroDowntimeMigration:
    backup = msgspec.structs.replace(Backup(before_migration=True), **changes)
    return ZeroDowntimeMigration(msgspec.structs.replace(stage.settings, backup=backup), DOMAIN)


def test_a_run_begins_with_a_backup_and_the_one_behind_a_kill_keeps_it(stage: Stage) -> None:
    shelf = Shelf(stage.settings.backup_path)
    settings = msgspec.structs.replace(stage.settings, backup=Backup())
    kill(stage, "PREPARING.work", settings)
    (made,) = shelf.names()
    written = shelf.manifest(made).made_at

    result = with_backups(stage).run()

    assert (result.state, result.backup) == ("finished", f"before-migration-{result.migration[:8]}")
    assert shelf.names() == [result.backup] == [made]
    manifest = shelf.require_whole(made)
    assert (manifest.purpose, manifest.made_at) == (BEFORE_MIGRATION, written)
    assert all(manifest.position[p] >= o for p, o in manifest.savepoints[made].items())
    assert result.phases[1].detail.endswith(f", backup {made}")


def test_without_pg_dump_nothing_begins_unless_no_backup_is_wanted(stage: Stage) -> None:
    missing = with_backups(stage, pg_bin="nowhere").run()
    planned = with_backups(stage, pg_bin="nowhere").dry_run()
    without = with_backups(stage, pg_bin="nowhere", before_migration=False)
    said = without.dry_run().effects

    assert (missing.state, missing.backup) == ("undone", "")
    assert "no pg_dump and pg_restore" in missing.reason
    assert "`backup.before_migration = false`" in missing.next_step
    assert "no pg_dump and pg_restore" in planned.reason
    assert "  no backup is made (`backup.before_migration`)" in said


def test_a_dry_run_says_where_to_and_makes_none(stage: Stage) -> None:
    shelf = Shelf(stage.settings.backup_path)
    before = shelf.names()

    said = with_backups(stage).dry_run().effects

    place = stage.settings.backup_path / "before-migration-dry-run"
    assert any(line.startswith(f"  back up to {place}, by pg_dump ") for line in said)
    assert shelf.names() == before
