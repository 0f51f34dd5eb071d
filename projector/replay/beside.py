"""Further tables of a projection, beside the live ones: a schema, lanes and a checkpoint each.

Shadows are being made, swapped ones were live until a swap, others are kept at a savepoint. Each is
a projection of its own name (`trading__1`), so whatever works on a projection works on it.
"""

import datetime
from contextlib import closing
from typing import Any, Literal

import msgspec
import psycopg
from psycopg import sql

from projector.control_tables import connect
from projector.drift import ddl_of_domain
from projector.fingerprint import store_fingerprint
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings

Purpose = Literal["shadow", "swapped", "savepoint"]
_NAME_MOST = 63
_TOGETHER = 100
"""Months that are made at once: each takes some of the locks that a transaction may have."""


class NameTooLong(FerryError):
    """PostgreSQL takes no name for the schema beside."""


class DependentsInside(FerryError):
    """Tables beside cannot be dropped: something outside of them needs them."""


class Beside(msgspec.Struct, frozen=True):
    """One set of tables beside the live ones."""

    name: str
    """Of its schema, and of its projection."""
    projection: str
    purpose: Purpose
    savepoint: str
    run: str | None
    """The run that makes it."""
    made_at: datetime.datetime
    state: str
    was: str
    """Of swapped ones: their state when they were live."""


def beside_of(
    conn: psycopg.Connection[Any], projection: str, purpose: Purpose | None = None
) -> list[Beside]:
    """Return the tables beside a projection's, the oldest first."""
    found = [Beside(*row) for row in conn.execute(query("beside_list"), (projection,))]
    return [one for one in found if purpose in {None, one.purpose}]


def make(
    conn: psycopg.Connection[Any],
    projection: str,
    domain: Domain,
    purpose: Purpose,
    *,
    run: str | None = None,
) -> str:
    """Make empty tables beside a projection's, at the beginning of the log; return their name."""
    with conn.transaction():
        name = _make(conn, projection, domain, purpose, run=run)
        conn.execute(query("checkpoints_create"), _partitions(conn, name))
        store_fingerprint(conn, name, domain)
    return name


def copy(
    settings: Settings,
    domain: Domain,
    projection: str,
    purpose: Purpose,
    *,
    of: str = "",
    savepoint: str = "",
    run: str | None = None,
) -> tuple[str, dict[int, int]]:
    """Copy tables, with their lanes, as they are at one moment; return name and position.

    `of` are the tables beside that are copied; empty: the live ones. Their writers go on meanwhile.
    """
    source = of or projection
    with closing(connect(settings, "copying tables")) as conn:
        with conn.transaction():
            name = _make(conn, projection, domain, purpose, savepoint=savepoint, run=run)
        try:
            conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with conn.transaction():
                position = _copy(conn, domain, source, name)
                if purpose != "shadow":
                    keep(conn, name, purpose, savepoint)
        except BaseException:
            conn.isolation_level = None
            if not conn.closed:
                drop(conn, name)
            raise
    return name, position


def _copy(conn: psycopg.Connection[Any], domain: Domain, of: str, to: str) -> dict[int, int]:
    # Locked before the snapshot is taken: no swap or replay comes in between.
    tables = [sql.Identifier(of, table) for table in domain.tables]
    conn.execute(query("tables_lock_read").format(tables=sql.SQL(", ").join(tables)))
    make_months(conn, of, to)
    for table in domain.tables:
        _copy_rows(conn, of, to, table)
    rows = conn.execute(query("beside_copy_place"), {"of": of, "to": to}).fetchall()
    return dict(rows)


def make_months(conn: psycopg.Connection[Any], of: str, to: str) -> None:
    """Give empty tables the partitions of others at once.

    One that is made where its first row comes costs many times as much.
    """
    found = conn.execute(query("beside_partitions"), (of,)).fetchall()
    statements = [
        query("beside_partition_make").format(
            partition=sql.Identifier(to, partition),
            table=sql.Identifier(to, parent),
            bound=sql.SQL(bound),
        )
        for parent, partition, bound in found
    ]
    for first in range(0, len(statements), _TOGETHER):
        conn.execute(sql.SQL(";").join(statements[first : first + _TOGETHER]))


def keep(conn: psycopg.Connection[Any], name: str, purpose: Purpose, savepoint: str = "") -> None:
    """Say that tables beside stay as they are, and why."""
    conn.execute(query("beside_keep"), {"name": name, "purpose": purpose, "savepoint": savepoint})


def drop(conn: psycopg.Connection[Any], name: str) -> None:
    """Drop tables beside, with their lanes and checkpoint; nothing where there are none.

    Raises: DependentsInside.
    """
    with conn.transaction():
        # Only what is known to be beside: a live projection's schema is never dropped here.
        if conn.execute(query("beside_lock"), (name,)).fetchone() is None:
            return
        conn.execute(query("beside_drop_schema").format(schema=sql.Identifier(name)))
        conn.execute(query("beside_drop"), {"name": name})


def _make(  # noqa: PLR0917
    conn: psycopg.Connection[Any],
    projection: str,
    domain: Domain,
    purpose: Purpose,
    savepoint: str = "",
    run: str | None = None,
) -> str:
    conn.execute(query("establish_lock"))
    row = conn.execute(query("beside_free_name"), {"projection": projection}).fetchone()
    name = str(row[0]) if row else ""
    if not 0 < len(name.encode()) <= _NAME_MOST:
        raise NameTooLong(
            f"the schema beside would be called {name!r}, and PostgreSQL takes {_NAME_MOST} bytes",
            where=f"projection {projection}",
            remedy="`memferry replay --in-place` needs none; or give the projection a shorter name",
        )
    conn.execute(
        query("beside_create"),
        {"name": name, "projection": projection, "state": "rebuilding", "reason": purpose},
    )
    conn.execute(
        query("beside_add"),
        {
            "name": name, "projection": projection, "purpose": purpose, "savepoint": savepoint,
            "run": run,
        },
    )  # fmt: skip
    schema = sql.Identifier(name)
    conn.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    conn.execute(sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(schema))
    conn.execute(ddl_of_domain(domain))  # the domain's own, trusted
    return name


def _partitions(conn: psycopg.Connection[Any], name: str) -> dict[str, Any]:
    row = conn.execute(query("projection_read"), (name,)).fetchone()
    return {"name": name, "partitions": row[3] if row else 0}


def _copy_rows(conn: psycopg.Connection[Any], of: str, to: str, table: str) -> None:
    columns = [sql.Identifier(row[0]) for row in conn.execute(query("beside_columns"), (of, table))]
    conn.execute(
        query("beside_copy_rows").format(
            to=sql.Identifier(to, table),
            of=sql.Identifier(of, table),
            columns=sql.SQL(", ").join(columns),
        )
    )
