"""Tables that a replay is to fill made anew, where the DDL has changed what they are made of."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from projector.drift import Difference, find_drift, objects_of
from projector.missing import make_comments, make_tables, make_views
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError


class TablesNeeded(FerryError):
    """Something that is not the domain's reads a table that must be made anew."""


def renew(conn: psycopg.Connection[Any], schema: str, domain: Domain) -> list[Difference]:
    """Drop and make the tables whose partitioning, columns or constraints are not the DDL's.

    In the caller's transaction, which empties the others: rows of these are gone. Tables that are
    missing, views and comments are made too. Grants on what is made anew are lost.
    Returns: why tables were made anew; empty where none was.
    Raises: TablesNeeded, naming what reads them; DdlRefused.
    """
    drift = find_drift(conn, schema, domain)
    reasons = [
        one
        for one in drift
        if one.part in {"column", "constraint"} or (one.part, one.change) == ("table", "changed")
    ]
    tables = sorted({one.relation for one in reasons} & domain.tables.keys())
    if tables:
        parts = objects_of(conn, domain)
        _drop(conn, schema, "VIEW", [relation for part, relation, _ in parts if part == "view"])
        _drop(conn, schema, "TABLE", tables)
    make_tables(conn, schema, domain, find_drift(conn, schema, domain))
    make_views(conn, schema, find_drift(conn, schema, domain))
    make_comments(conn, schema, find_drift(conn, schema, domain))
    return [one for one in reasons if one.relation in tables]


def _drop(conn: psycopg.Connection[Any], schema: str, what: str, relations: Sequence[str]) -> None:
    if not relations:
        return
    names = sql.SQL(", ").join(sql.Identifier(schema, name) for name in relations)
    try:
        conn.execute(query("renewal_drop").format(what=sql.SQL(what), relations=names))
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = (error.diag.message_detail or "").splitlines()
        raise TablesNeeded(
            f"tables must be made anew, and something else needs them: {'; '.join(detail[:3])}",
            where=f"schema {schema}",
            remedy="drop what is named there, and make it again behind the replay",
        ) from error
