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
ONE = uuid.UUID(int=1)
ARGUMENTS: dict[str, tuple[Any, ...] | dict[str, Any]] = {
    "applied_by_all": {"topic": "t", "source": "app-1", "generation": 1},
    "applied_parked": {"projection": "p", "source": "app-1", "generation": 1},
    "applied_of_source": {"projection": "p", "source": "app-1", "generation": 1},
    "fence_abort": {"fence": ONE, "reason": "why"},
    "fence_answer": {
        "fence": ONE,
        "source": "app-1",
        "state": "fenced",
        "detail": "",
        "heads": '{"0": 1}',
        "counting": "c-1",
        "sums": '{"0": {}}',
    },
    "fence_opened": {"fence": ONE, "source": "app-1", "pause_ms": 1.5},
    "fences_of_projection": {"projection": "p", "held": [str(ONE)]},
    "memory_line_drop": (ONE,),
    "request_answered": {"id": ONE, "state": "answered", "answer": "{}"},
    "request_failed": {"id": ONE, "detail": "why"},
    "request_question": (ONE,),
    "requests_there": ([ONE],),
    "requests_of_source": ("p", "app-1"),
    "route_followed": {"projection": "p", "source": "app-1", "decision": 1},
    "route_read": ("p",),
}


@pytest.fixture
def tables(database: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    database.execute(sql.SQL(statement("control_tables")))
    return database


def add_fence(
    conn: psycopg.Connection[Any], fence: uuid.UUID, state: str = "asked", projection: str = "p"
) -> None:
    conn.execute(
        "INSERT INTO memferry.fence (id, projection, purpose, epoch, lease_ms, state, asked_at, "
        "lease_until) VALUES (%s, %s, 'cutover', 2, 1000, %s, now(), now() + interval '1 minute')",
        (fence, projection, state),
    )


def add_request(
    conn: psycopg.Connection[Any], request: uuid.UUID, kind: str, state: str = "asked"
) -> None:
    conn.execute(
        "INSERT INTO memferry.request (id, projection, source, kind, state, asked_at) "
        "VALUES (%s, 'p', 'app-1', %s, %s, clock_timestamp())",
        (request, kind, state),
    )


def test_every_statement_is_tried_here() -> None:
    assert set(NAMES) == {
        *ARGUMENTS, "control_tables", "memory_line_copy", "memory_row_copy", "memory_sum_copy"
    }  # fmt: skip


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
        add_fence(tables, ONE)
        tables.execute(statement(name), ARGUMENTS[name])


def test_an_answer_to_an_audit_is_copied_to_its_request(tables: psycopg.Connection[Any]) -> None:
    request = uuid.uuid4()
    with tables.transaction(force_rollback=True):
        add_request(tables, request, "memory")

        asked = tables.execute(statement("requests_of_source"), ("p", "app-1")).fetchall()
        with tables.cursor() as cursor, cursor.copy(statement("memory_row_copy")) as copy:
            copy.write_row((request, 0, "accounts", "a", b"\x01" * 16, '["1:a"]'))
        with tables.cursor() as cursor, cursor.copy(statement("memory_sum_copy")) as copy:
            copy.write_row((request, 0, "accounts", 3, "", 7, b"\x02" * 16))
        values = {"id": request, "state": "answered", "answer": "null"}
        tables.execute(statement("request_answered"), values)
        left = tables.execute(statement("requests_of_source"), ("p", "app-1")).fetchall()
        rows = tables.execute(
            "SELECT partition, table_name, key, digest, row_text FROM memferry.memory_row "
            "WHERE request = %s",
            (request,),
        ).fetchall()
        sums = tables.execute(
            "SELECT partition, table_name, bucket, stream, row_count, digest "
            "FROM memferry.memory_sum WHERE request = %s",
            (request,),
        ).fetchall()

    assert asked == [(request, "memory")]
    assert left == []
    assert rows == [(0, "accounts", "a", b"\x01" * 16, ["1:a"])]
    assert sums == [(0, "accounts", 3, "", 7, b"\x02" * 16)]


def test_requests_wait_in_the_order_of_asking_until_they_are_answered(
    tables: psycopg.Connection[Any],
) -> None:
    requests = [uuid.uuid4() for _ in range(4)]
    with tables.transaction(force_rollback=True):
        for request, state in zip(
            requests, ("asked", "working", "failed", "answered"), strict=True
        ):
            add_request(tables, request, "snapshot", state)

        found = tables.execute(statement("requests_of_source"), ("p", "app-1")).fetchall()
        foreign = tables.execute(statement("requests_of_source"), ("p", "app-2")).fetchall()

    assert found == [(request, "snapshot") for request in requests[:2]]
    assert foreign == []


@pytest.mark.parametrize("state", ["decided", "released", "aborted"])
def test_a_fence_that_ended_is_not_aborted(state: str, tables: psycopg.Connection[Any]) -> None:
    values = {"fence": ONE, "reason": "why"}
    with tables.transaction(force_rollback=True):
        add_fence(tables, ONE, state)

        assert tables.execute(statement("fence_abort"), values).fetchone() is None

        row = tables.execute("SELECT state, reason FROM memferry.fence WHERE id = %s", (ONE,))
        assert row.fetchone() == (state, "")


def test_a_fence_is_aborted_once(tables: psycopg.Connection[Any]) -> None:
    with tables.transaction(force_rollback=True):
        add_fence(tables, ONE)

        said = [
            tables.execute(statement("fence_abort"), {"fence": ONE, "reason": reason}).fetchone()
            for reason in ("first", "second")
        ]

        row = tables.execute("SELECT state, reason FROM memferry.fence WHERE id = %s", (ONE,))
        assert row.fetchone() == ("aborted", "first")
    assert said[0] is not None
    assert said[1] is None


def test_a_writer_sees_the_fences_asked_for_and_the_end_of_those_that_it_holds(
    tables: psycopg.Connection[Any],
) -> None:
    asked, held, ended, foreign = (uuid.uuid4() for _ in range(4))
    with tables.transaction(force_rollback=True):
        add_fence(tables, asked)
        add_fence(tables, held, "decided")
        add_fence(tables, ended, "aborted")
        add_fence(tables, foreign, projection="another")

        known = {"projection": "p", "held": [str(held)]}
        rows = tables.execute(statement("fences_of_projection"), known).fetchall()

    assert {(row[0], row[4]) for row in rows} == {(str(asked), "asked"), (str(held), "decided")}
    assert all(0 < row[6] <= 60 for row in rows)


def test_a_later_answer_keeps_the_numbers_of_the_barrier(tables: psycopg.Connection[Any]) -> None:
    answer = {"fence": ONE, "source": "app-1", "detail": "", "counting": "c-1"}
    said = {"state": "fenced", "heads": '{"0": 7}', "sums": '{"0": {}}'}
    later = {"state": "caught_up", "heads": None, "sums": None}
    with tables.transaction(force_rollback=True):
        add_fence(tables, ONE)
        tables.execute(statement("fence_answer"), answer | said)
        tables.execute(statement("fence_answer"), answer | later)
        opened = {"fence": ONE, "source": "app-1", "pause_ms": 12.5}
        tables.execute(statement("fence_opened"), opened)

        row = tables.execute(
            "SELECT state, heads, counting, sums, pause_ms FROM memferry.fence_source "
            "WHERE fence = %s",
            (ONE,),
        ).fetchone()

    assert row == ("opened", {"0": 7}, "c-1", {"0": {}}, 12.5)


def test_a_projection_has_one_fence_and_one_hold_at_a_time(
    tables: psycopg.Connection[Any],
) -> None:
    with tables.transaction(force_rollback=True):
        add_fence(tables, uuid.uuid4(), "decided")
        add_fence(tables, uuid.uuid4())

        with pytest.raises(psycopg.errors.UniqueViolation):
            add_fence(tables, uuid.uuid4())
