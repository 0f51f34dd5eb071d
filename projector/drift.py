"""What differs between a domain's DDL and the database, as PostgreSQL itself writes both down.

The DDL is run in a schema of its own, which is rolled back; then the catalog's entries of both
schemas are compared. Partitions are no part of it: the projector makes them.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg
from psycopg import sql

from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError

Part: TypeAlias = Literal["table", "column", "constraint", "index", "view", "trigger", "comment"]
_PARTS: dict[Part, str] = {
    "table": "drift_tables",
    "column": "drift_columns",
    "constraint": "drift_constraints",
    "index": "drift_indexes",
    "view": "drift_views",
    "trigger": "drift_triggers",
    "comment": "drift_comments",
}
INVALID = " (INVALID)"
"""Ends the definition of an index that no query uses, because its making was cut short."""


class DdlRefused(FerryError):
    """PostgreSQL does not take the domain's DDL, or does not let this role try it."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that the DDL and the database do not have alike.

    `relation` is its table or view, `name` its own where it has one; `wanted` is what the DDL has,
    `found` what the database has, each None where it has nothing of that name.
    """

    part: Part
    relation: str
    name: str | None
    wanted: str | None
    found: str | None

    @property
    def change(self) -> Literal["missing", "changed", "extra"]:
        """Say what is wrong with the database."""
        if self.found is None:
            return "missing"
        return "extra" if self.wanted is None else "changed"

    @property
    def place(self) -> str:
        """Name it as people do, e.g. `column trades.fees`."""
        if self.part == "comment":
            return f"comment on {self.name}"
        return f"{self.part} {self.relation}{f'.{self.name}' if self.name else ''}"


Objects: TypeAlias = dict[tuple[Part, str, str | None], str]


def find_drift(conn: psycopg.Connection[Any], schema: str, domain: Domain) -> list[Difference]:
    """Return what differs between a domain's DDL and a schema, in the order of the DDL's parts.

    Takes no lock that a read would not take. Raises: DdlRefused.
    """
    with conn.transaction(force_rollback=True):
        wanted = objects_of(conn, domain)
        found = _objects(conn, schema)
    differences = [
        Difference(*key, wanted.get(key), found.get(key))
        for key in {**wanted, **found}
        if wanted.get(key) != found.get(key)
    ]
    # What belongs to a table or view that is missing or extra as a whole goes without saying.
    whole = {
        one.relation
        for one in differences
        if one.part in {"table", "view"} and one.change != "changed"
    }
    return [
        one for one in differences if one.part in {"table", "view"} or one.relation not in whole
    ]


def objects_of(conn: psycopg.Connection[Any], domain: Domain) -> Objects:
    """Return all that the DDL makes, each by its definition; nothing stays. Raises: DdlRefused."""
    with conn.transaction(force_rollback=True), fresh_schema(conn, domain) as fresh:
        return _objects(conn, fresh)


def ddl_of_domain(domain: Domain) -> str:
    """Return all SQL that makes a projection's tables, hand-written and derived."""
    return "\n".join(filter(None, (domain.ddl, *(kind.ddl for kind in domain.kinds))))


@contextmanager
def fresh_schema(conn: psycopg.Connection[Any], domain: Domain) -> Iterator[str]:
    """Make the DDL's tables and views in a new schema, in the caller's transaction."""
    name = f"memferry_fresh_{secrets.token_hex(8)}"
    try:
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        _look_first_in(conn, name)
        conn.execute(ddl_of_domain(domain))  # the domain's own, trusted
    except psycopg.Error as error:
        raise DdlRefused(
            f"the DDL cannot be run: {str(error).strip().splitlines()[0]}",
            where=f"domain {domain.name}, in a schema of its own",
            remedy="correct the DDL, or connect as a role that may create schemas in the database",
        ) from error
    yield name


def _objects(conn: psycopg.Connection[Any], schema: str) -> Objects:
    # Names of the schema that is looked in first are written without it.
    _look_first_in(conn, schema)
    return {
        (part, relation, name): definition
        for part, statement in _PARTS.items()
        for relation, name, definition in conn.execute(query(statement), {"schema": schema})
    }


def _look_first_in(conn: psycopg.Connection[Any], schema: str) -> None:
    path = sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(sql.Identifier(schema))
    conn.execute(path)
