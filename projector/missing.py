"""Makes what a domain's DDL has and its projection lacks, where no row is touched by it.

Tables, views and comments in one transaction; then indexes one by one, each beside the batches that
are applied meanwhile. What would change rows (a column, a constraint) is left and said: a replay
makes the tables anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from projector.control_tables import read_projection
from projector.drift import INVALID, DdlRefused, Difference, find_drift, fresh_schema
from projector.sql import query
from projector.trail import note
from schemas.domain import Domain
from schemas.errors import FerryError

_LOCK_MS = 5_000
_INDEX_PARTITION = 54
"""So much of an index's name is left where the month of a partition follows it."""


class TablesBusy(FerryError):
    """Somebody held a table or view for longer than this waits."""


class Made(NamedTuple):
    """What was made, as people name it, and what still differs."""

    done: list[str]
    left: list[Difference]


def make_missing(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> Made:
    """Bring a projection's schema as near to the DDL as no row is touched by it.

    `conn` is in autocommit. What was made is in the audit trail. Killed on the way, it is finished
    by the next call. Raises: ProjectionMissing, TablesBusy, DdlRefused.
    """
    read_projection(conn, projection)
    done: list[str] = []
    with _waiting_briefly(conn, projection):
        with conn.transaction():
            conn.execute(query("establish_lock"))
            before = find_drift(conn, projection, domain)
            done += make_tables(conn, projection, domain, before)
            done += make_views(conn, projection, find_drift(conn, projection, domain))
            done += make_comments(conn, projection, find_drift(conn, projection, domain))
            if done:
                _note(conn, projection, before, done)
        for one in find_drift(conn, projection, domain):
            if one.part == "index" and one.found in {None, f"{one.wanted}{INVALID}"}:
                _index(conn, projection, one)
                done.append(f"{one.place}, beside what is written")
                with conn.transaction():
                    _note(conn, projection, [one], done[-1:])
    return Made(done, find_drift(conn, projection, domain))


def make_tables(
    conn: psycopg.Connection[Any], schema: str, domain: Domain, drift: list[Difference]
) -> list[str]:
    """Make the tables that are missing, in the caller's transaction; return what was made."""
    missing = [one for one in drift if one.part == "table" and one.change == "missing"]
    if missing:
        # Made with all the others, and moved: so it has exactly what the DDL says.
        with fresh_schema(conn, domain) as fresh:
            for one in missing:
                names = {
                    "table": sql.Identifier(fresh, one.relation), "schema": sql.Identifier(schema)
                }  # fmt: skip
                conn.execute(query("drift_table_move").format(**names))
            conn.execute(query("drift_schema_drop").format(schema=sql.Identifier(fresh)))
    return [one.place for one in missing]


def make_views(conn: psycopg.Connection[Any], schema: str, drift: list[Difference]) -> list[str]:
    """Make views that are missing and replace those that changed, where nothing else needs them."""
    made = []
    for one in drift:
        if one.part != "view" or one.wanted is None or one.wanted.startswith("MATERIALIZED"):
            continue
        view = sql.Identifier(schema, one.relation)
        make = query("drift_view_make").format(view=view, definition=sql.SQL(one.wanted))
        _look_first_in(conn, schema)
        try:
            with conn.transaction():
                conn.execute(make)
        except psycopg.errors.InvalidTableDefinition:  # other columns: it cannot be replaced
            try:
                with conn.transaction():
                    conn.execute(query("drift_view_drop").format(view=view))
                    conn.execute(make)
            except psycopg.errors.DependentObjectsStillExist:
                continue
        except psycopg.ProgrammingError:  # it reads what is not there
            continue
        made.append(one.place)
    return made


def make_comments(conn: psycopg.Connection[Any], schema: str, drift: list[Difference]) -> list[str]:
    """Write comments as the DDL has them."""
    made = []
    _look_first_in(conn, schema)
    for one in drift:
        if one.part == "comment" and one.wanted is not None and one.name is not None:
            names = {"target": sql.SQL(one.name), "comment": sql.Literal(one.wanted)}
            conn.execute(query("drift_comment").format(**names))
            made.append(one.place)
    return made


def _index(conn: psycopg.Connection[Any], schema: str, one: Difference) -> None:
    assert one.wanted is not None  # noqa: S101  (it is missing)
    assert one.name is not None  # noqa: S101  (every index has one)
    plain = one.wanted.removeprefix("UNIQUE ")
    parts: dict[str, sql.Composable] = {
        "unique": sql.SQL("UNIQUE" if plain != one.wanted else ""),
        "definition": sql.SQL(plain),
        "table": sql.Identifier(schema, one.relation),
        "name": sql.Identifier(one.name),
        "index": sql.Identifier(schema, one.name),
    }
    given = {"schema": schema, "table": one.relation, "index": one.name}
    if conn.execute(query("drift_partitioned"), given).fetchone() == (True,):
        conn.execute(query("drift_index_whole").format(**parts))
        for (partition,) in conn.execute(query("drift_partitions"), given).fetchall():
            suffix = partition.removeprefix(one.relation)
            name = f"{one.name[:_INDEX_PARTITION]}{suffix}"
            part = sql.Identifier(schema, name)
            conn.execute(query("drift_index_drop").format(index=part))
            table, index = sql.Identifier(schema, partition), sql.Identifier(name)
            _make_beside(conn, parts | {"table": table, "name": index})
            conn.execute(query("drift_index_attach").format(index=parts["index"], part=part))
        return
    if one.found is not None:
        conn.execute(query("drift_index_drop").format(**parts))
    _make_beside(conn, parts)


def _make_beside(conn: psycopg.Connection[Any], parts: dict[str, sql.Composable]) -> None:
    # Nobody who reads or writes waits for this, however long it waits for them.
    conn.execute(query("lock_timeout"), ("0",))
    conn.execute(query("drift_index_make").format(**parts))
    conn.execute(query("lock_timeout"), (f"{_LOCK_MS}ms",))


@contextmanager
def _waiting_briefly(conn: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    """Wait for a lock no longer than batches and reads take; look for names in the schema first."""
    conn.execute(query("lock_timeout"), (f"{_LOCK_MS}ms",))
    path = sql.SQL("SET search_path TO {}, pg_catalog").format(sql.Identifier(schema))
    conn.execute(path)
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise TablesBusy(
            f"a lock was not free within {_LOCK_MS} ms: {error.diag.message_primary}",
            where=f"schema {schema}",
            remedy="run `memferry sql apply` again; what was made stays",
        ) from error
    except (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError) as error:
        raise DdlRefused(
            f"PostgreSQL does not make it: {error.diag.message_primary}",
            where=f"schema {schema}",
            remedy="correct the DDL, the rows' handler or the role's rights; what was made stays",
        ) from error
    finally:
        if not conn.closed:
            conn.execute("RESET search_path")
            conn.execute(query("lock_timeout"), ("0",))


def _look_first_in(conn: psycopg.Connection[Any], schema: str) -> None:
    path = sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(sql.Identifier(schema))
    conn.execute(path)


def _note(
    conn: psycopg.Connection[Any], projection: str, before: list[Difference], done: list[str]
) -> None:
    note(
        conn,
        "tables brought to the DDL",
        {"differing": [f"{one.change}: {one.place}" for one in before]},
        {"projection": projection, "made": done},
    )
