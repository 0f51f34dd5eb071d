from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.compose.cli.conftest import Done, Ledger

COUNT = "SELECT count(*) FROM memferry.trail WHERE action = 'tables brought to the DDL'"


@pytest.fixture
def tables(projected: Ledger) -> Iterator[psycopg.Connection[Any]]:
    """A connection that looks into the projection's tables first."""
    settings = projected.settings
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(settings.projection)))
        yield conn


def test_the_ddl_is_printed_as_psql_takes_it(
    projected: Ledger, tables: psycopg.Connection[Any], memferry: Callable[..., Done]
) -> None:
    done = memferry("sql", "print", environment=projected.environment)

    assert done.code == 0
    with tables.transaction(force_rollback=True):
        tables.execute(done.out.replace(projected.settings.projection, "printed"))
        assert tables.execute("SELECT count(*) FROM printed.accounts").fetchone() == (0,)


def test_the_ddl_is_printed_without_any_server(memferry: Callable[..., Done]) -> None:
    done = memferry("sql", "print", "--domain", "schemas.trading")
    as_json = memferry("sql", "print", "--domain", "schemas.trading", "--json")

    assert done.out.startswith('CREATE SCHEMA IF NOT EXISTS "trading";\n')
    assert "CREATE VIEW latest_quotes" in done.out
    assert as_json.json()["ddl"] in done.out


def test_a_check_finds_what_an_apply_makes(
    projected: Ledger, tables: psycopg.Connection[Any], memferry: Callable[..., Done]
) -> None:
    assert memferry("sql", "check", environment=projected.environment).code == 0
    before = tables.execute("SELECT * FROM readings ORDER BY 1, 2").fetchall()
    (noted,) = tables.execute(COUNT).fetchone() or (0,)
    tables.execute("DROP TABLE accounts")

    found = memferry("sql", "check", environment=projected.environment)
    made = memferry("sql", "apply", environment=projected.environment)
    again = memferry("sql", "apply", "--json", environment=projected.environment)

    assert found.code == 1
    assert found.out.splitlines()[0] == "missing  table accounts"
    assert "memferry sql apply" in found.said
    assert made.code == 0
    assert made.out.splitlines()[0] == "made     table accounts"
    assert again.json() == {"projection": projected.settings.projection, "made": [], "left": []}
    assert tables.execute(COUNT).fetchone() == (noted + 1,)
    assert tables.execute("SELECT * FROM readings ORDER BY 1, 2").fetchall() == before


def test_what_no_apply_can_make_is_told_in_80_columns(
    projected: Ledger, tables: psycopg.Connection[Any], memferry: Callable[..., Done]
) -> None:
    words = ", ".join(f"'word number {number}'" for number in range(20))
    tables.execute(f"ALTER TABLE accounts ADD CONSTRAINT many CHECK (owner NOT IN ({words}))")

    made = memferry("sql", "apply", environment=projected.environment)
    found = memferry("sql", "check", "--json", environment=projected.environment)
    tables.execute("ALTER TABLE accounts DROP CONSTRAINT many")

    assert (made.code, found.code) == (1, 1)
    assert made.out.splitlines()[0] == "extra    constraint accounts.many"
    assert len(made.out.splitlines()) > 3
    assert max(map(len, made.out.splitlines())) <= 80
    (one,) = found.json()["differences"]
    assert (one["change"], one["part"], one["name"]) == ("extra", "constraint", "many")


def test_a_projection_that_is_not_there_is_a_tool_error(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    elsewhere = ledger.environment | {"MEMFERRY_PROJECTION": "nowhere"}

    done = memferry("sql", "check", environment=elsewhere)

    assert done.code == 2
    assert "there is no projection 'nowhere'" in done.said
