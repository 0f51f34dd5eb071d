"""What stands around a projection's tables: what a swap must carry over, and what forbids one."""

from typing import Any

import psycopg
from psycopg import sql

from projector.drift import find_drift
from projector.fingerprint import tables_changed
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError

_NAMED_MOST = 5


class SwapRefused(FerryError):
    """A swap would leave something behind that holds on to the live tables."""


def require_replaceable(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> None:
    """Check that other tables can take the place of the live ones.

    Raises: SwapRefused, naming the views, keys, functions, publications and policies that hold on
            to them, or what is in their schema and not in the domain's DDL.
    """
    dependents = [
        row[0] for row in conn.execute(query("dependents"), {"schema": projection}).fetchall()
    ]
    if dependents:
        raise SwapRefused(
            f"the live tables cannot be exchanged, for {_named(dependents)} would stay with the "
            "old ones",
            where=f"schema {projection}",
            remedy="drop them and make them again behind it, or replay `--in-place`",
        )
    if tables_changed(conn, projection, domain):
        return  # what is extra may be of the DDL before
    extra = [one.place for one in find_drift(conn, projection, domain) if one.change == "extra"]
    if extra:
        raise SwapRefused(
            f"the live tables cannot be exchanged, for the new ones would lack {_named(extra)}",
            where=f"schema {projection}",
            remedy="put it into the domain's DDL, or drop it (`memferry sql diff` shows all), or "
            "replay `--in-place`",
        )


def carry_grants(conn: psycopg.Connection[Any], live: str, beside: str) -> None:
    """Let roles do with the tables beside what they may do with the live ones."""
    relations = dict(conn.execute(query("grants_relations"), (beside,)).fetchall())
    for privilege, kind, relation, column, role, passing in conn.execute(
        query("grants_found"), {"schema": live}
    ).fetchall():
        if kind == "TABLE" and (
            relation not in relations or (column and column not in relations[relation])
        ):
            continue  # of the DDL before
        what = (
            sql.SQL("SCHEMA {}").format(sql.Identifier(beside))
            if kind == "SCHEMA"
            else sql.SQL("TABLE {}").format(sql.Identifier(beside, relation))
        )
        granted: sql.Composable = sql.SQL(privilege)  # PostgreSQL's own word
        if column:
            granted = sql.SQL("{} ({})").format(granted, sql.Identifier(column))
        conn.execute(
            query("grants_give").format(
                privilege=granted,
                what=what,
                whom=sql.SQL(role) if role else sql.SQL("PUBLIC"),  # quoted by regrole
                passing=sql.SQL("WITH GRANT OPTION" if passing else ""),
            )
        )


def _named(things: list[str]) -> str:
    rest = len(things) - _NAMED_MOST
    return ", ".join(things[:_NAMED_MOST]) + (f" and {rest} more" if rest > 0 else "")
