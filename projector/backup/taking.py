"""A backup made: rows, lanes and checkpoint of one snapshot, with all control tables.

The snapshot is exported to pg_dump, so what the manifest counts is what the dump holds. Projectors
and readers go on meanwhile; a swap, or a replay in place, waits.
"""

import datetime
import hashlib
import os
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from projector.backup.manifest import CONTROL, Dump, Manifest, Partition, require_name
from projector.backup.programs import Programs, ProgramsMissing, environment, find_programs, running
from projector.backup.shelf import DUMP, MANIFEST, Shelf, write_durably, write_sums
from projector.backup.verifying import verify_listing
from projector.checkpoint import last_applied
from projector.control_tables import connect, read_projection
from projector.sql import query
from projector.trail import actor, note
from schemas.control_format import CONTROL_FORMAT
from schemas.errors import FerryError
from schemas.position import control_topic, format_offsets
from schemas.settings import Settings

WITHOUT_ROWS = frozenset({"request", "memory_row", "memory_sum", "memory_line"})
"""Control tables whose rows nobody needs again: questions to running apps, and their answers."""
BEFORE_MIGRATION = "before-migration"
_LOCK_WAIT = "10s"
_CHUNK = 1024 * 1024


class BackupRefused(FerryError):
    """The tables are in no state that anybody would want back."""


def take(settings: Settings, projection: str, name: str = "", *, purpose: str = "") -> Manifest:
    """Make a backup of a projection and the control tables; return what it says of itself.

    Without a name it is called after the time.
    Raises: BackupExists, BackupNameInvalid, BackupRefused, ProgramsMissing, ProgramFailed,
            ShelfUnusable; nothing that looks like a backup is left then.
    """
    now = datetime.datetime.now(datetime.UTC)
    name = name or f"{projection}-{now:%Y-%m-%dT%H-%M-%SZ}"
    require_name(name)
    shelf = Shelf(settings.backup_path)
    with closing(connect(settings, "backup")) as conn:
        programs = find_programs(settings, conn.info.server_version)
        with shelf.making(name) as place:
            manifest = _make(conn, settings, programs, projection, place)
            manifest = msgspec.structs.replace(
                manifest, name=name, purpose=purpose, made_at=now, made_by=actor()
            )
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
            write_durably(place / MANIFEST, text + b"\n")
            write_sums(place, manifest)
        try:
            verify_listing(shelf, programs, name)
        except FerryError:
            shelf.drop(name)
            raise
        with conn.transaction():
            note(
                conn,
                "backup taken",
                {},
                {
                    "name": name, "projection": projection, "sha256": manifest.dump.sha256,
                    "position": format_offsets(manifest.position),
                },
            )  # fmt: skip
    return manifest


def take_before(settings: Settings, projection: str, name: str) -> str:
    """Make the automatic backup before a migration, and remove those that are too many.

    Returns: the name; empty where `backup.before_migration` says that none is wanted. One of that
             name which is whole stays as it is.
    """
    if not settings.backup.before_migration:
        return ""
    shelf = Shelf(settings.backup_path)
    if name in shelf.names():
        shelf.require_whole(name)
        return name
    try:
        take(settings, projection, name, purpose=BEFORE_MIGRATION)
    except ProgramsMissing as error:
        raise ProgramsMissing(
            f"{error.what}, and a migration begins with a backup",
            where=error.where,
            remedy=f"{error.remedy}; or go without one: `backup.before_migration = false`",
        ) from error
    prune(settings, projection)
    return name


def prune(settings: Settings, projection: str) -> list[str]:
    """Remove automatic backups beyond `backup.keep`, the oldest first; return their names.

    Damaged ones neither count nor go: somebody should look at them.
    """
    shelf, keep = Shelf(settings.backup_path), settings.backup.keep
    automatic = [
        one.name
        for one in shelf.kept(bytes_too=False)
        if one.manifest and not one.damage
        and one.manifest.automatic and one.manifest.projection == projection
    ]  # fmt: skip
    gone = automatic[:-keep] if keep else []
    for name in gone:
        shelf.drop(name)
    return gone


def _make(
    conn: psycopg.Connection[Any],
    settings: Settings,
    programs: Programs,
    projection: str,
    place: Path,
) -> Manifest:
    """Dump into a directory; the manifest lacks what is the backup's own."""
    read_projection(conn, projection)
    tables = {schema: _tables(conn, schema) for schema in (projection, CONTROL)}
    tables[CONTROL] = [table for table in tables[CONTROL] if table not in WITHOUT_ROWS]
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with conn.transaction():
        # Locked before the snapshot is taken: pg_dump reads tables by their names, and a swap would
        # give it others.
        live = [sql.Identifier(projection, table) for table in tables[projection]]
        if live:
            conn.execute(query("tables_lock_read").format(tables=sql.SQL(", ").join(live)))
        conn.execute(query("backup_unbounded"))
        (snapshot,) = conn.execute(query("backup_snapshot")).fetchone() or ("",)
        manifest = _describe(conn, settings, projection, tables)
        dump = _dump(conn, programs, projection, str(snapshot), place / DUMP)
    conn.isolation_level = None
    return msgspec.structs.replace(manifest, dump=dump)


def _dump(
    conn: psycopg.Connection[Any], programs: Programs, projection: str, snapshot: str, path: Path
) -> Dump:
    arguments = [
        "--format=custom", "--compress=1", "--encoding=UTF8", "--load-via-partition-root",
        "--strict-names", "--no-password", f"--lock-wait-timeout={_LOCK_WAIT}",
        f"--snapshot={snapshot}", f"--schema={_quoted(projection)}", f"--schema={CONTROL}",
        *(f"--exclude-table-data={CONTROL}.{table}" for table in sorted(WITHOUT_ROWS)),
    ]  # fmt: skip
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        running(programs, "pg_dump", *arguments, variables=environment(conn)) as output,
    ):
        while chunk := output.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Dump(path.name, size, digest.hexdigest())


def _describe(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    tables: dict[str, list[str]],
) -> Manifest:
    known = read_projection(conn, projection)
    if known.state == "rebuilding":
        raise BackupRefused(
            f"projection {projection!r} is being made anew: {known.reason}",
            where="memferry.projection",
            remedy="back it up once that is done; after a replay that was cut short, "
            "`memferry replay --to-end`",
        )
    control = control_topic(settings.topic)
    position, tails = last_applied(conn, projection)
    voids = conn.execute(query("voids_obeyed"), (projection,)).fetchone()
    trail = conn.execute(query("trail_newest")).fetchone()
    rows = {
        schema: {table: _count(conn, schema, table) for table in names}
        for schema, names in tables.items()
    }
    return Manifest(
        name="", made_at=datetime.datetime.now(datetime.UTC), made_by="",
        projection=projection, domain=settings.domain, topic=known.topic,
        generation=known.generation, partitions=known.partitions,
        state=known.state, reason=known.reason,
        code=dict(conn.execute(query("fingerprint_read"), (projection,)).fetchall()),
        position=position, tails=tails,
        voids=voids[0] if voids else [],
        savepoints={
            name: {int(partition): offset for partition, offset in offsets.items()}
            for name, offsets in conn.execute(query("backup_savepoints"), (projection,))
        },
        epoch=_value(conn, "backup_epoch", settings.topic),
        control_position=_value(conn, "control_read", control),
        trail=trail[0] if trail else 0, trail_chain=trail[1] if trail else "",
        rows=rows[projection], control_rows=rows[CONTROL],
        months=[Partition(*row) for row in conn.execute(query("beside_partitions"), (projection,))],
        control_format=CONTROL_FORMAT, server_version=conn.info.server_version,
        memferry_version=version("memferry"), dump=Dump("", 0, ""),
    )  # fmt: skip


def _tables(conn: psycopg.Connection[Any], schema: str) -> list[str]:
    return [name for (name,) in conn.execute(query("tables_of_schema"), (schema,))]


def _count(conn: psycopg.Connection[Any], schema: str, table: str) -> int:
    statement = query("table_count").format(table=sql.Identifier(schema, table))
    row = conn.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _value(conn: psycopg.Connection[Any], name: str, topic: str) -> int:
    row = conn.execute(query(name), (topic,)).fetchone()
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    """Return a name as pg_dump's patterns take it: as it is, whatever is in it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
