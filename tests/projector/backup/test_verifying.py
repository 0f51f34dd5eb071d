"""Backups looked at: damage is found and named, and a whole one comes back row for row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.backup import verifying
from projector.backup.shelf import BackupDamaged, BackupUnknown, Shelf
from projector.backup.taking import take
from projector.backup.verifying import ScratchRefused, verify
from schemas.settings import Settings
from tests.projector.backup.test_taking import trail


def flip_a_bit(place: Path) -> None:
    dump = place / "database.dump"
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)


def cut(place: Path) -> None:
    dump = place / "database.dump"
    dump.write_bytes(dump.read_bytes()[:-1])


def alter_the_manifest(place: Path) -> None:
    manifest = place / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"epoch": ', '"epoch": 1'))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "database.dump was altered": flip_a_bit,
    "database.dump has": cut,
    "its manifest was altered": alter_the_manifest,
    "its manifest cannot be read": lambda place: (place / "manifest.json").write_text("{"),
    "a file of it cannot be read": lambda place: (place / "SHA256SUMS").unlink(),
}


def test_damage_is_found_and_named(settings: Settings) -> None:
    shelf = Shelf(settings.backup_path)
    take(settings, settings.projection, "whole")
    for number, damage in enumerate(DAMAGE.values()):
        take(settings, settings.projection, f"b-{number}")
        damage(shelf.path(f"b-{number}"))

    kept = {one.name: one for one in shelf.kept()}
    quick = {one.name: one.damage for one in shelf.kept(bytes_too=False)}

    assert kept["whole"].damage == ""
    assert kept["whole"].verified is not None
    for number, said in enumerate(DAMAGE):
        assert said in kept[f"b-{number}"].damage
        with pytest.raises(BackupDamaged, match=said):
            verify(settings, f"b-{number}")
    assert quick["b-0"] == ""  # one that is as long as it was is found by its bytes alone
    with pytest.raises(BackupUnknown, match="nowhere"):
        verify(settings, "nowhere")


def test_a_backup_comes_back_row_for_row_in_a_scratch_database(
    settings: Settings, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = take(settings, settings.projection, "b")
    (scratch,) = database.execute(
        "SELECT 'memferry_verify_' || oid FROM pg_database WHERE datname = current_database()"
    ).fetchone() or ("",)
    database.execute(f"CREATE DATABASE {scratch}")  # a test restore that was killed has left it

    verify(settings, "b", by_restore=True)

    verified = Shelf(settings.backup_path).verified("b")
    assert verified is not None
    assert verified.how == "restore"
    assert trail(database, "backup verified")[-1]["how"] == "restore"
    real = verifying._counts

    def one_less(*values: Any) -> Any:
        found = real(*values)
        found[manifest.projection, "accounts"] -= 1
        return found

    monkeypatch.setattr(verifying, "_counts", one_less)
    rows = manifest.rows["accounts"]
    said = f"brings {rows - 1} rows of {settings.projection}.accounts back, and had {rows}"
    with pytest.raises(BackupDamaged, match=said):
        verify(settings, "b", by_restore=True)
    left = database.execute("SELECT FROM pg_database WHERE datname = %s", (scratch,)).fetchone()
    assert left is None


def test_who_may_make_no_database_is_told_so(settings: Settings, stack: Stack) -> None:
    take(settings, settings.projection, "b")
    role = settings.projection
    with psycopg.connect(Postgres(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' IN ROLE memferry")
        dsn = make_conninfo(settings.postgres.dsn, user=role, password="x")  # noqa: S106
        there = msgspec.structs.replace(settings.postgres, dsn=dsn)
        poor = msgspec.structs.replace(settings, postgres=there)

        with pytest.raises(ScratchRefused) as refused:
            verify(poor, "b", by_restore=True)

        superuser.execute(f"DROP ROLE {role}")
    assert f"ALTER ROLE {role} CREATEDB" in refused.value.remedy
