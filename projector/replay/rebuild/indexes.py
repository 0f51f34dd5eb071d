"""Secondary indexes away before many rows are written, and there again behind them.

Keys and all else that may refuse a row stay: a rebuild refuses what the live tables refuse. What is
away is known from the domain's DDL alone, so whoever finishes needs nothing from whoever began.
"""

from typing import Any

import psycopg
from psycopg import sql

from projector.drift import INVALID, find_drift, objects_of
from projector.sql import query
from schemas.domain import Domain

_LOCK_MS = 500
"""Readers of tables that are made in place are not waited for: their indexes stay then."""


def drop_secondary(conn: psycopg.Connection[Any], schema: str, domain: Domain) -> list[str]:
    """Drop the plain indexes of a projection's tables that `finish` makes again; return names."""
    dropped = []
    for (part, _, name), definition in objects_of(conn, domain).items():
        if part != "index" or name is None or definition.startswith("UNIQUE "):
            continue
        try:
            with conn.transaction():
                conn.execute(query("patience"), (f"{_LOCK_MS}ms",))
                conn.execute(query("rebuild_index_drop").format(index=sql.Identifier(schema, name)))
        except psycopg.errors.LockNotAvailable:
            continue
        dropped.append(name)
    return dropped


def finish(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> None:
    """Make what tables need to be read: the indexes that are missing, and statistics.

    Killed on the way, it is finished by the next call. Raises: DdlRefused, psycopg.Error.
    """
    for one in find_drift(conn, projection, domain):
        unusable = one.found is None or one.found.endswith(INVALID)
        if one.part != "index" or one.name is None or one.wanted is None or not unusable:
            continue
        if one.wanted.startswith("UNIQUE "):  # it was never taken away
            continue
        index = sql.Identifier(projection, one.name)
        with conn.transaction():
            # Names in the definition are written without the schema.
            path = sql.SQL("SET LOCAL search_path TO {}, pg_catalog")
            conn.execute(path.format(sql.Identifier(projection)))
            conn.execute(query("rebuild_index_drop").format(index=index))
            conn.execute(
                query("rebuild_index_make").format(
                    name=sql.Identifier(one.name),
                    table=sql.Identifier(projection, one.relation),
                    definition=sql.SQL(one.wanted),
                )
            )
    for table in domain.tables:
        conn.execute(query("rebuild_analyze").format(table=sql.Identifier(projection, table)))
