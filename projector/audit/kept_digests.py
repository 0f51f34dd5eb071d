"""Digests that the tables keep themselves for a while: triggers add up rows as they are stored.

A migration has them kept from before its last full comparison to its end. They then say, within a
pause and whatever the number of rows, whether anybody changed a table since, our code or a hand.
Otherwise projecting pays nothing for them: there are no triggers.
Source: docs/decisions/0026-digests-kept-by-triggers.md
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from projector.audit.table_digest import column_types, row_expressions
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.table_sums import Sums
from schemas.tables import Table

_OPERATIONS = ("insert", "delete", "update", "truncate")
_TRUNCATED = -1
_LOCK_MS = 500
_PATIENCE_S = 30.0
_PAUSE_S = 0.2
_LOW = 1 << 64
Connection = psycopg.Connection[Any]


class TablesBusy(FerryError):
    """A table's lock could not be had for a moment."""


class Kept(NamedTuple):
    """What the tables kept: sums of changes, and the tables of which nothing is known any more."""

    sums: dict[str, Sums]
    truncated: frozenset[str]


def begin_keeping(conn: Connection, projection: str, domain: Domain) -> list[str]:
    """Have every table keep digests from now on; return those that cannot.

    Those have columns of which PostgreSQL has no text of its own (documents, arrays). What was
    kept before is forgotten. Raises: TablesBusy.
    """
    end_keeping(conn, projection)
    tables = domain.tables.values()
    return [table.name for table in tables if not _begin(conn, projection, table)]


def _begin(conn: Connection, projection: str, table: Table) -> bool:
    expressions = row_expressions(table, column_types(conn, projection, table.name))
    if expressions is None:
        return False
    names: dict[str, sql.Composable] = {
        "function": sql.Identifier("memferry", _function(projection, table.name)),
        "projection": sql.Literal(projection),
        "name": sql.Literal(table.name),
        "bucket": expressions.bucket,
        "hash": expressions.hash,
    }

    def make() -> None:
        conn.execute(query("kept_function").format(**names))
        partitions = conn.execute(query("kept_partitions"), (projection, table.name)).fetchall()
        # A partition's are for who names it: what comes by its parent passes the parent's alone.
        for (relation,) in [(table.name,), *partitions]:
            written_to = sql.Identifier(projection, relation)
            for operation in _OPERATIONS:
                conn.execute(query(f"kept_{operation}").format(**names, table=written_to))

    _with_locks(conn, f"table {table.name}", make)
    return True


def end_keeping(conn: Connection, projection: str) -> None:
    """Have the tables keep nothing any more, and forget what they kept; raises TablesBusy."""
    found = conn.execute(query("kept_found"), (projection,)).fetchall()
    by_function: dict[str, list[tuple[str, str]]] = {}
    for table, trigger, function, _ in found:
        by_function.setdefault(function, []).append((table, trigger))
    for function, triggers in by_function.items():

        def drop(function: str = function, triggers: list[tuple[str, str]] = triggers) -> None:
            for table, trigger in triggers:
                conn.execute(
                    query("kept_drop_trigger").format(
                        trigger=sql.Identifier(trigger), table=sql.Identifier(projection, table)
                    )
                )
            conn.execute(
                query("kept_drop_function").format(function=sql.Identifier("memferry", function))
            )

        _with_locks(conn, f"table {triggers[0][0]}", drop)
    conn.execute(query("kept_clear"), (projection,))


def read_kept(conn: Connection, projection: str) -> Kept:
    """Return what the tables kept up to the moment that the connection sees."""
    sums: dict[str, Sums] = {}
    truncated = set()
    for table, bucket, rows, high, low in conn.execute(query("kept_read"), (projection,)):
        if bucket == _TRUNCATED:
            truncated.add(table)
        else:
            sums.setdefault(table, Sums()).add(bucket, int(high) * _LOW + int(low), rows)
    return Kept(sums, frozenset(truncated))


def kept_tables(conn: Connection, projection: str) -> frozenset[str]:
    """Return the tables that keep digests."""
    found = conn.execute(query("kept_found"), (projection,)).fetchall()
    return frozenset(table for table, _, _, partition in found if not partition)


def _function(projection: str, table: str) -> str:
    """Return the name of a table's trigger function: names of both may be too long for it."""
    return f"kept_{sha256(f'{projection}.{table}'.encode()).hexdigest()[:32]}"


def _with_locks(conn: Connection, what: str, work: Callable[[], None]) -> None:
    """Do work that waits for whoever writes a table; nobody waits behind it for long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with conn.transaction():
                conn.execute(query("patience"), (f"{_LOCK_MS}ms",))
                work()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if time.monotonic() > deadline:
                raise TablesBusy(
                    f"{what} was in use for {_PATIENCE_S:.0f} s by transactions that do not end",
                    where="pg_stat_activity",
                    remedy="end them, and run it again",
                ) from error
            time.sleep(_PAUSE_S)
