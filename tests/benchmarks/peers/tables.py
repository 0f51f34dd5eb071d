"""A peer's table: like the projection's, empty before its run, compared with it after."""

from typing import Any

import psycopg
from psycopg import sql

from schemas.trading.trades import TRADES


class PeerWrong(Exception):
    """A peer left another table than the projector: its speed means nothing."""


def emptied(dsn: str, like: str, schema: str) -> None:
    """Make a peer's table of trades anew, with the projection's constraints and indexes."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        conn.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                sql.Identifier(schema, TRADES.name), sql.Identifier(like, TRADES.name)
            )
        )


def trades_in(dsn: str, schema: str) -> int:
    """Return how many rows a table of trades has."""
    with psycopg.connect(dsn) as conn:
        row = conn.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, TRADES.name))
        ).fetchone()
    return int(row[0]) if row else 0


def require_same(dsn: str, like: str, schema: str) -> None:
    """Compare every row, both ways.

    Raises: PeerWrong.
    """
    ours, theirs = sql.Identifier(like, TRADES.name), sql.Identifier(schema, TRADES.name)
    with psycopg.connect(dsn) as conn:
        for left, right in ((ours, theirs), (theirs, ours)):
            if found := _difference(conn, left, right):
                raise PeerWrong(
                    f"a row of {left.as_string()} is not in {right.as_string()}: {found}"
                )


def _difference(conn: psycopg.Connection[Any], left: sql.Identifier, right: sql.Identifier) -> Any:
    columns = sql.SQL(", ").join(map(sql.Identifier, TRADES.columns))
    return conn.execute(
        sql.SQL("SELECT {0} FROM {1} EXCEPT SELECT {0} FROM {2} LIMIT 1").format(
            columns, left, right
        )
    ).fetchone()
