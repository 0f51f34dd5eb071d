"""The projection's place in PostgreSQL: control tables, schema, tables, checkpoints, state."""

from typing import Any, Literal, NamedTuple

import psycopg
from psycopg import sql

from projector.fingerprint import Code, require_fingerprint
from projector.sql import query
from schemas.control_format import require_format
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION
from schemas.settings import Settings
from schemas.sql import statement

State = Literal["live", "rebuilding", "held"]


class DatabaseUnreachable(FerryError):
    """PostgreSQL did not let us in."""


class ProjectionMismatch(FerryError):
    """The projection in the database belongs to another topic, generation or partition count."""


class SchemaOccupied(FerryError):
    """Tables of the domain's names stand where a new projection's should: they are not touched."""


class TablesMissing(FerryError):
    """Tables of the domain are not in the projection's schema."""


class Projection(NamedTuple):
    """A projection as the database knows it."""

    name: str
    topic: str
    generation: int
    partitions: int
    state: State
    reason: str
    code: Code = frozenset()
    """What its rows are made with, where it was established for that."""


def connect(settings: Settings, role: str) -> psycopg.Connection[Any]:
    """Return a connection with autocommit on; raises DatabaseUnreachable."""
    try:
        return psycopg.connect(
            settings.postgres.dsn,
            autocommit=True,
            connect_timeout=settings.postgres.connect_timeout_s,
            application_name=f"memferry {role}",
        )
    except psycopg.Error as error:
        place = _place(settings.postgres.dsn)
        if place is None:  # what the driver says of it may hold the password
            raise DatabaseUnreachable(
                "the connection string cannot be read",
                where="`postgres.dsn`, not shown because it may hold a password",
                remedy="write `postgres.dsn` as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
                "with %40 for @, %2F for / and %25 for % in the password",
            ) from None
        raise DatabaseUnreachable(
            f"PostgreSQL cannot be reached: {str(error).strip()}",
            where=place,
            remedy="start it (`memferry stack up` for the embedded one) or correct `postgres.dsn`",
        ) from error


def _place(dsn: str) -> str | None:
    """Return host, port and database, None where parts of a password may have got into them."""
    try:
        info = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return None
    host, database = str(info.get("host", "default host")), str(info.get("dbname", "default"))
    port = str(info.get("port", "default port"))
    if "@" in host + database or ("port" in info and not port.replace(",", "").isdecimal()):
        return None
    return f"{host}:{port}, database {database}"


def establish(
    conn: psycopg.Connection[Any],
    settings: Settings,
    domain: Domain,
    partitions: int,
    *,
    renewing: bool = False,
) -> Projection:
    """Make the control tables and the projection where they are missing; return the projection.

    `renewing`: its rows are about to be made anew, so they may be of other code.
    Raises: ProjectionMismatch, FormatMismatch, SchemaOccupied, FingerprintChanged, TablesMissing.
    """
    name = settings.projection or domain.name
    code: Code = frozenset()
    with conn.transaction():
        conn.execute(query("establish_lock"))
        conn.execute(sql.SQL(statement("control_tables")))
        (version,) = conn.execute("SELECT version FROM memferry.format").fetchone() or (0,)
        require_format(version)
        conn.execute(query("beside_gone"), {"name": name})
        made = conn.execute(
            query("projection_create"),
            {
                "name": name,
                "topic": settings.topic,
                "generation": FIRST_GENERATION,
                "partitions": partitions,
            },
        ).fetchone()
        if made:
            schema = sql.Identifier(name)
            conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            conn.execute(sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(schema))
            _create_tables(conn, name, domain)
            conn.execute(query("checkpoints_create"), {"name": name, "partitions": partitions})
        _create_derived_tables(conn, name, domain)
        if not renewing:
            code = require_fingerprint(conn, name, domain)
            _require_tables(conn, name, domain)
    projection = read_projection(conn, name)
    if (projection.topic, projection.partitions) != (settings.topic, partitions):
        raise ProjectionMismatch(
            f"projection {name!r} is of topic {projection.topic!r} with {projection.partitions} "
            f"partitions, the settings and Kafka say {settings.topic!r} with {partitions}",
            where=f"memferry.projection, name {name}",
            remedy="set `topic` back, or give the new projection a name of its own (`projection`)",
        )
    return projection._replace(code=code)


def _create_tables(conn: psycopg.Connection[Any], name: str, domain: Domain) -> None:
    try:
        conn.execute(domain.ddl)  # the domain's own, trusted
    except psycopg.errors.DuplicateTable as error:
        raise SchemaOccupied(
            f"the new projection's schema holds tables already: {error.diag.message_primary}",
            where=f"schema {name}",
            remedy="choose another name (`projection`); if these are a lost projection's tables, "
            "drop the schema: the log brings them again",
        ) from error


def _create_derived_tables(conn: psycopg.Connection[Any], schema: str, domain: Domain) -> None:
    """Make the tables of derived kinds that the projection does not have yet."""
    for kind in domain.kinds:
        if not kind.ddl or conn.execute(
            query("table_found"), (schema, kind.tables[0].name)
        ).fetchone() == (True,):
            continue
        conn.execute(
            sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(sql.Identifier(schema))
        )
        conn.execute(kind.ddl)  # made from a description: names quoted, types ours


def _require_tables(conn: psycopg.Connection[Any], schema: str, domain: Domain) -> None:
    """Check that tables of kinds that came to the domain later are there; raises TablesMissing."""
    missing = [
        name
        for name in domain.tables
        if conn.execute(query("table_found"), (schema, name)).fetchone() != (True,)
    ]
    if missing:
        raise TablesMissing(
            f"the projection lacks tables of its domain: {', '.join(missing)}",
            where=f"schema {schema}",
            remedy="`memferry sql apply` makes what is missing; `memferry replay --to-end` then "
            "fills tables whose events were applied or parked before",
        )


def read_projection(conn: psycopg.Connection[Any], name: str) -> Projection:
    """Return a projection; raises ProjectionMissing."""
    try:
        row = conn.execute(query("projection_read"), (name,)).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise ProjectionMissing(
            f"there is no projection {name!r} in the database",
            where="memferry.projection",
            remedy="start `memferry project` once, or correct `projection` or `postgres.dsn`",
        )
    return Projection(*row)


class ProjectionMissing(FerryError):
    """The database knows no such projection."""


def set_state(conn: psycopg.Connection[Any], name: str, state: State, reason: str) -> None:
    """Say what may be done with the projection's tables, in the caller's transaction."""
    conn.execute(query("projection_state"), {"name": name, "state": state, "reason": reason})
