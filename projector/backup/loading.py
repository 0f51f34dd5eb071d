"""A dump's rows brought into a database: those of control tables into temporary ones first."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from projector.backup.archive import Rows, rows_in
from projector.backup.manifest import CONTROL, Manifest, Partition
from projector.backup.programs import Programs
from projector.sql import query
from schemas.errors import FerryError

_PLACE = ("checkpoint", "lane", "parked", "fingerprint")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_BOUND = re.compile(r"FOR VALUES (?:FROM|IN|WITH) [^;]*|DEFAULT")


class RowsMissing(FerryError):
    """A backup brought back other rows than it counted when it was made."""


class Archive(NamedTuple):
    """A backup's dump, with the programs that read it."""

    programs: Programs
    dump: Path
    manifest: Manifest


def load_control(conn: psycopg.Connection[Any], archive: Archive, tables: tuple[str, ...]) -> None:
    """Bring control tables into temporary ones, `restored_NAME`, of the caller's transaction."""
    for table in tables:
        names = {"staged": _staged(table), "table": sql.Identifier(table)}
        conn.execute(query("backup_staged").format(**names))
    for rows in rows_in(archive.programs, archive.dump, CONTROL, tables):
        _copy(conn, rows, _staged(rows.table))


def load_tables(
    conn: psycopg.Connection[Any], archive: Archive, beside: str, tables: Iterable[str]
) -> dict[str, int]:
    """Fill empty tables beside, with lanes and checkpoint, in one transaction; return their rows.

    Tables in the dump that are not among `tables` are left out.
    Raises: RowsMissing, DumpUnreadable, ProgramFailed; the tables are empty then as before.
    """
    manifest, wanted = archive.manifest, set(tables)
    counts = dict.fromkeys(sorted(wanted), 0)
    with conn.transaction():
        conn.execute(query("constraints_deferred"))
        _make_months(conn, beside, (m for m in manifest.months if m.table in wanted))
        for rows in rows_in(archive.programs, archive.dump, manifest.projection):
            if rows.table in wanted:
                counts[rows.table] += _fill(conn, rows, beside)
        for table in wanted:
            expected = manifest.rows.get(table, 0)
            if counts[table] != expected:
                raise RowsMissing(
                    f"{counts[table]} rows of {table} came back, and {expected} were backed up",
                    where=str(archive.dump),
                    remedy="nothing was changed; use another backup (`memferry backup list`)",
                )
        load_control(conn, archive, _PLACE)
        conn.execute(query("fingerprint_clear"), (beside,))
        conn.execute(
            query("backup_place"),
            {"to": beside, "of": manifest.projection, "voids": Jsonb(manifest.voids)},
        )
    return counts


def _fill(conn: psycopg.Connection[Any], rows: Rows, beside: str) -> int:
    return _copy(conn, rows, sql.Identifier(beside, rows.table))


def _copy(conn: psycopg.Connection[Any], rows: Rows, into: sql.Composable) -> int:
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    cursor = conn.cursor()
    with cursor.copy(query("backup_copy").format(table=into, columns=columns)) as copy:
        for chunk in rows.chunks():
            copy.write(chunk)
    return cursor.rowcount


def _make_months(conn: psycopg.Connection[Any], beside: str, months: Iterable[Partition]) -> None:
    there = {row[1] for row in conn.execute(query("beside_partitions"), (beside,))}
    for month in months:
        if month.name in there:
            continue  # the domain's DDL has made it
        if not _BOUND.fullmatch(_LITERAL.sub("''", month.bound)):
            raise RowsMissing(
                f"partition {month.name} is said to be {month.bound!r}, which no partition is",
                where="the backup's manifest",
                remedy="use another backup (`memferry backup list`)",
            )
        conn.execute(
            query("beside_partition_make").format(
                partition=sql.Identifier(beside, month.name),
                table=sql.Identifier(beside, month.table),
                bound=sql.SQL(month.bound),
            )
        )


def _staged(table: str) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"restored_{table}")
