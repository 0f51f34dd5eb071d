"""The statements that both sides share, run by PostgreSQL itself."""

import uuid
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from psycopg import sql

from schemas import sql as shared
from schemas.sql import statement

NAMES = sorted(path.name.removesuffix(".sql") for path in files(shared).iterdir()
               if path.name.endswith(".sql"))  # fmt: skip
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "lanes_of_source": ("p", "app-1", 1),
    "memory_request_answered": (uuid.UUID(int=1),),
    "memory_request_failed": ("why", uuid.UUID(int=1)),
    "memory_requests_of_source": ("p", "app-1"),
}


@pytest.fixture
def tables(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    database.execute(sql.SQL(statement("control_tables")))
    return database


def test_every_statement_is_tried_here() -> None:
    assert set(NAMES) == {*ARGUMENTS, "control_tables", "memory_row_copy"}


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_found_by_its_name(name: str) -> None:
    assert statement(name).strip()
    assert statement(name) is statement(name)


def test_a_statement_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        statement("nowhere")


def test_the_control_tables_can_be_made_again(tables: psycopg.Connection[Any]) -> None:
    with tables.transaction(force_rollback=True):
        tables.execute(sql.SQL(statement("control_tables")))
        versions = tables.execute("SELECT version FROM memferry.format").fetchall()

    assert len(versions) == 1


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_postgresql_takes_a_statement(name: str, tables: psycopg.Connection[Any]) -> None:
    with tables.transaction(force_rollback=True):
        tables.execute(statement(name), ARGUMENTS[name])


def test_an_answer_to_an_audit_is_copied_to_its_request(tables: psycopg.Connection[Any]) -> None:
    request = uuid.uuid4()
    with tables.transaction(force_rollback=True):
        tables.execute(
            "INSERT INTO memferry.memory_request VALUES (%s, 'p', 'app-1', 'asked')", (request,)
        )

        asked = tables.execute(statement("memory_requests_of_source"), ("p", "app-1")).fetchall()
        with tables.cursor() as cursor, cursor.copy(statement("memory_row_copy")) as copy:
            copy.write_row((request, 0, "accounts", "a", b"\x01" * 16))
        tables.execute(statement("memory_request_answered"), (request,))
        left = tables.execute(statement("memory_requests_of_source"), ("p", "app-1")).fetchall()
        rows = tables.execute(
            "SELECT partition, table_name, key, digest FROM memferry.memory_row WHERE request = %s",
            (request,),
        ).fetchall()

    assert asked == [(request,)]
    assert left == []
    assert rows == [(0, "accounts", "a", b"\x01" * 16)]
