"""Backups made: of one moment, whole or not at all."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.backup import taking
from projector.backup.manifest import BackupNameInvalid
from projector.backup.programs import ProgramsMissing, find_programs
from projector.backup.shelf import BackupExists, Shelf, ShelfUnusable
from projector.backup.taking import BEFORE_MIGRATION, BackupRefused, prune, take
from projector.control_tables import set_state
from projector.migration import fences
from projector.replay.beside import copy, drop
from projector.replay.exchange import TablesInUse, exchange
from projector.replay.savepoints import take as take_savepoint
from schemas.settings import Backup, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.backup.child import back_up
from tests.projector.migration.child import start
from tests.projector.segments import offsets_in

BACKUP_POINTS = (
    "the snapshot is taken",
    "the dump is written",
    "the manifest is written",
    "the sums are written",
)


def trail(conn: psycopg.Connection[Any], action: str) -> list[dict[str, Any]]:
    rows = conn.execute("SELECT after FROM memferry.trail WHERE action = %s ORDER BY id", (action,))
    return [after for (after,) in rows]


def _sums_are_right(place: Path) -> bool:
    """Say what coreutils say."""
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=place, check=False)
    return done.returncode == 0


async def test_a_manifest_says_what_is_in_the_dump(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    name = settings.projection
    await take_savepoint(database, settings, name, "of-the-manifest")
    (entries,) = database.execute("SELECT count(*) FROM memferry.trail").fetchone() or (0,)
    epoch = fences.ask(database, settings, name, "hold").epoch
    database.execute("DELETE FROM memferry.fence")

    manifest = take(settings, name, "b")

    shelf = Shelf(settings.backup_path)
    place = shelf.path("b")
    assert shelf.require_whole("b") == manifest
    assert manifest.rows == {t: len(rows) for t, rows in tables(database, name).items()}
    assert manifest.position == manifest.savepoints["of-the-manifest"] == offsets_in(database, name)
    assert (manifest.state, manifest.topic, manifest.epoch) == ("live", settings.topic, epoch)
    assert set(manifest.code) == {"account", "reading"}
    assert manifest.trail == manifest.control_rows["trail"] == entries > 0
    assert manifest.control_position > 0
    assert _sums_are_right(place)
    modes = {path.stat().st_mode & 0o777 for path in (place, *place.iterdir())}
    assert modes == {0o700, 0o600}
    noted = trail(database, "backup taken")[-1]
    assert (noted["name"], noted["sha256"]) == ("b", manifest.dump.sha256)


async def test_no_password_is_in_any_file_or_on_any_command_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = psycopg.conninfo.conninfo_to_dict(settings.postgres.dsn)["password"]
    seen: list[str] = []
    real = subprocess.Popen

    def listening(arguments: Any, *rest: Any, **named: Any) -> Any:
        seen.extend(map(str, arguments))
        return real(arguments, *rest, **named)

    monkeypatch.setattr(subprocess, "Popen", listening)
    take(settings, settings.projection, "b")

    assert any("pg_dump" in one for one in seen)
    assert not any(str(password) in one for one in seen)
    for path in Shelf(settings.backup_path).path("b").iterdir():
        assert str(password).encode() not in path.read_bytes()


async def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(
    settings: Settings,
) -> None:
    shelf = Shelf(settings.backup_path)

    for point in BACKUP_POINTS:
        process = start(back_up, settings, point)
        process.join(30)

        assert process.exitcode == -signal.SIGKILL, point
        assert shelf.names() == [], point
        assert list(shelf.directory.glob(".making-*")), point
    take(settings, settings.projection, "b")

    assert [path.name for path in shelf.directory.iterdir()] == ["b"]


async def test_what_is_being_made_is_no_leftover(settings: Settings) -> None:
    shelf = Shelf(settings.backup_path)

    with shelf.making("slow") as place:
        take(settings, settings.projection, "b")
        (place / "manifest.json").write_text("{}")

    assert shelf.names() == ["b", "slow"]


async def test_what_cannot_be_backed_up_is_refused(
    settings: Settings, database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    name = settings.projection
    take(settings, name, "b")
    with pytest.raises(BackupExists):
        take(settings, name, "b")
    for wrong in ("../b", ".b", "b/c", "x" * 101):
        with pytest.raises(BackupNameInvalid):
            take(settings, name, wrong)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ShelfUnusable):
        take(msgspec.structs.replace(settings, backup=Backup(directory=str(file))), name, "c")
    with database.transaction():
        set_state(database, name, "rebuilding", "replay to 0:1")
    with pytest.raises(BackupRefused, match="replay to 0:1"):
        take(settings, name, "c")
    set_state(database, name, "live", "")

    assert Shelf(settings.backup_path).names() == ["b"]


async def test_the_newest_automatic_ones_are_kept_and_all_that_were_asked_for(
    settings: Settings,
) -> None:
    name, shelf = settings.projection, Shelf(settings.backup_path)
    few = msgspec.structs.replace(settings, backup=Backup(keep=1))
    take(settings, name, "by-hand")
    for number in range(3):
        take(settings, name, f"auto-{number}", purpose=BEFORE_MIGRATION)
    (shelf.path("auto-2") / "database.dump").write_bytes(b"damaged")

    gone = prune(few, name)

    assert gone == ["auto-0"]
    assert shelf.names() == ["auto-1", "auto-2", "by-hand"]
    assert prune(msgspec.structs.replace(settings, backup=Backup(keep=0)), name) == []


def test_programs_that_are_missing_or_too_old_are_named_with_the_remedy(
    settings: Settings, tmp_path: Path
) -> None:
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 15.18 (Debian 15.18-0)'\n")
        program.chmod(0o755)
    old = msgspec.structs.replace(settings, backup=Backup(pg_bin=str(tmp_path)))
    gone = msgspec.structs.replace(settings, backup=Backup(pg_bin="nowhere"))

    assert find_programs(settings, 180_006).major >= 18
    assert find_programs(old, 150_001) == (tmp_path, 15)
    with pytest.raises(ProgramsMissing, match="version 18 or later") as refused:
        find_programs(old, 180_006)
    assert "version 15" in refused.value.where
    with pytest.raises(ProgramsMissing) as missing:
        find_programs(gone, 180_006)
    assert "backup.pg_bin" in missing.value.remedy
    with pytest.raises(ProgramsMissing) as later:
        find_programs(settings, 990_000)
    assert "postgresql-client-99" in later.value.remedy


async def test_a_swap_during_a_backup_gives_it_no_other_tables(
    settings: Settings, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = settings.projection
    beside, _ = copy(settings, DOMAIN, name, "savepoint", savepoint="s")
    real = taking._describe

    def swapped_meanwhile(*values: Any) -> Any:
        with pytest.raises(TablesInUse):
            exchange(database, name, beside, DOMAIN, "live", "", patience_s=0.1)
        return real(*values)

    monkeypatch.setattr(taking, "_describe", swapped_meanwhile)

    manifest = take(settings, name, "b")

    assert manifest.position == offsets_in(database, name)
    drop(database, beside)
