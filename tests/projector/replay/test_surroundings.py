"""What stands around the live tables: carried over by a swap, or in its way."""

from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.fingerprint import store_fingerprint
from projector.replay.beside import drop, make
from projector.replay.surroundings import SwapRefused, carry_grants, require_replaceable
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN

Connection = psycopg.Connection[Any]


def test_roles_may_do_with_the_new_tables_what_they_might_with_the_old(
    live: str, stack: Stack, database: Connection
) -> None:
    role = sql.Identifier(f"{live}_reader")
    schema = sql.Identifier(live)
    with psycopg.connect(Postgres(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE ROLE {}").format(role))
    database.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
    database.execute(sql.SQL("GRANT SELECT ON {}.accounts TO {}").format(schema, role))
    database.execute(sql.SQL("GRANT SELECT (value) ON {}.readings TO PUBLIC").format(schema))
    beside = make(database, live, DOMAIN, "shadow")

    carry_grants(database, live, beside)

    asked = database.execute(
        "SELECT has_schema_privilege(%(role)s, %(schema)s, 'USAGE'),"
        " has_table_privilege(%(role)s, %(schema)s || '.accounts', 'SELECT'),"
        " has_table_privilege(%(role)s, %(schema)s || '.accounts', 'DELETE'),"
        " has_column_privilege(%(role)s, %(schema)s || '.readings', 'value', 'SELECT')",
        {"role": f"{live}_reader", "schema": beside},
    ).fetchone()
    assert asked == (True, True, False, True)
    drop(database, beside)
    there = make_conninfo(Postgres(stack.directory).superuser_url, dbname=database.info.dbname)
    with psycopg.connect(there, autocommit=True) as superuser:
        superuser.execute(sql.SQL("DROP OWNED BY {}").format(role))
        superuser.execute(sql.SQL("DROP ROLE {}").format(role))


OUTSIDE = {
    "view": "CREATE VIEW public.{name} AS SELECT account FROM {schema}.accounts",
    "function": "CREATE FUNCTION public.{name}() RETURNS bigint BEGIN ATOMIC "
    "SELECT count(*) FROM {schema}.accounts; END",
    "foreign key": "CREATE TABLE public.{name} (a text REFERENCES {schema}.accounts)",
    "policy": "CREATE POLICY {name} ON {schema}.accounts USING (true)",
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_what_would_stay_with_the_old_tables_is_named(
    live: str, settings: Settings, database: Connection, what: str
) -> None:
    names = {"name": sql.Identifier(f"out_{live}"), "schema": sql.Identifier(live)}
    with psycopg.connect(settings.postgres.dsn) as conn:
        conn.execute(sql.SQL(OUTSIDE[what]).format(**names))

        with pytest.raises(SwapRefused) as refused:
            require_replaceable(conn, live, DOMAIN)

        conn.rollback()
    assert f"out_{live}" in refused.value.what
    assert what in refused.value.what
    require_replaceable(database, live, DOMAIN)


def test_what_the_ddl_does_not_have_is_named_unless_the_ddl_has_changed(
    live: str, database: Connection
) -> None:
    database.execute(
        sql.SQL("CREATE INDEX odd_one ON {}.accounts (owner)").format(sql.Identifier(live))
    )

    with pytest.raises(SwapRefused, match="odd_one"):
        require_replaceable(database, live, DOMAIN)

    database.execute(
        "UPDATE memferry.fingerprint SET fingerprint = 'x',"
        " parts = jsonb_set(parts, '{tables}', '\"x\"') WHERE projection = %s",
        (live,),
    )
    require_replaceable(database, live, DOMAIN)
    store_fingerprint(database, live, DOMAIN)
