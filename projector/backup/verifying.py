"""A backup looked at: its digests, its listing, and its rows in a scratch database."""

import datetime
from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from projector.backup.manifest import Manifest
from projector.backup.programs import Programs, environment, find_programs, running
from projector.backup.shelf import DUMP, BackupDamaged, How, Shelf, Verified
from projector.control_tables import connect
from projector.sql import query
from projector.trail import actor, note
from schemas.errors import FerryError
from schemas.settings import Settings


class ScratchRefused(FerryError):
    """The server does not let this role make a database to try a backup in."""


def verify(settings: Settings, name: str, *, by_restore: bool = False) -> Manifest:
    """Check that a backup is whole, and, where asked for, that it comes back row for row.

    Raises: BackupUnknown, BackupDamaged; ScratchRefused, ProgramsMissing.
    """
    shelf = Shelf(settings.backup_path)
    with closing(connect(settings, "backup verify")) as conn:
        programs = find_programs(settings, conn.info.server_version)
        manifest = verify_listing(shelf, programs, name)
        if by_restore:
            _verify_by_restore(conn, shelf, programs, manifest)
        how = "restore" if by_restore else "listing"
        with conn.transaction():
            said = {"name": name, "how": how, "sha256": manifest.dump.sha256}
            note(conn, "backup verified", {}, {"projection": manifest.projection, **said})
    return manifest


def verify_listing(shelf: Shelf, programs: Programs, name: str) -> Manifest:
    """Check a backup's digests, and that pg_restore finds all its tables in it."""
    manifest = shelf.require_whole(name)
    with running(programs, "pg_restore", "--list", str(shelf.path(name) / DUMP)) as output:
        listing = output.read().decode(errors="replace")
    months: dict[str, list[str]] = {}
    for month in manifest.months:
        months.setdefault(month.table, []).append(month.name)
    missing = [
        name
        for (schema, table), rows in manifest.counted.items()
        for name in (months.get(table, [table]) if schema == manifest.projection else [table])
        if rows and f" TABLE DATA {schema} {name} " not in listing
    ]
    if missing:
        raise BackupDamaged(
            f"backup {name!r} lacks the rows of {', '.join(missing[:5])}",
            where=str(shelf.path(name)),
            remedy="make another one: `memferry backup take`",
        )
    shelf.note_verified(name, _now("listing"))
    return manifest


def _verify_by_restore(
    conn: psycopg.Connection[Any], shelf: Shelf, programs: Programs, manifest: Manifest
) -> None:
    conn.execute(query("backup_verify_lock"))
    (scratch,) = conn.execute(query("backup_verify_name")).fetchone() or ("",)
    names = {"name": sql.Identifier(scratch)}
    try:
        conn.execute(query("backup_verify_drop").format(**names))  # of a run that was killed
        conn.execute(query("backup_verify_make").format(**names))
    except psycopg.errors.InsufficientPrivilege as error:
        raise ScratchRefused(
            f"a scratch database cannot be made: {error.diag.message_primary}",
            where=f"role {conn.info.user}",
            remedy=f"as a superuser: ALTER ROLE {conn.info.user} CREATEDB; without it a backup is "
            "checked by digests and listing",
        ) from error
    try:
        arguments = (
            "--exit-on-error", "--no-owner", "--no-privileges", "--no-password",
            f"--dbname={scratch}", str(shelf.path(manifest.name) / DUMP),
        )  # fmt: skip
        with running(
            programs, "pg_restore", *arguments, variables=environment(conn, scratch)
        ) as output:
            output.read()
        found = _counts(conn, scratch, manifest)
    finally:
        conn.execute(query("backup_verify_drop").format(**names))
    wrong = [place for place, rows in manifest.counted.items() if found[place] != rows]
    if wrong:
        table, rows = wrong[0], manifest.counted[wrong[0]]
        raise BackupDamaged(
            f"backup {manifest.name!r} brings {found[table]} rows of {'.'.join(table)} back, "
            f"and had {rows}",
            where=str(shelf.path(manifest.name)),
            remedy="make another one: `memferry backup take`",
        )
    shelf.note_verified(manifest.name, _now("restore"))


def _counts(
    conn: psycopg.Connection[Any], scratch: str, manifest: Manifest
) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    place = make_conninfo(conn.info.dsn, dbname=scratch, password=conn.info.password or None)
    with psycopg.connect(place) as there:
        for table in manifest.counted:
            statement = query("table_count").format(table=sql.Identifier(*table))
            row = there.execute(statement).fetchone()
            counts[table] = int(row[0]) if row else 0
    return counts


def _now(how: How) -> Verified:
    return Verified(how, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), actor())
