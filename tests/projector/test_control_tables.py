from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack.ports import free_port
from projector.checkpoint import claim
from projector.control_tables import (
    DatabaseUnreachable,
    Projection,
    ProjectionMismatch,
    ProjectionMissing,
    SchemaOccupied,
    connect,
    establish,
    read_projection,
    set_state,
)
from schemas.control_format import FormatMismatch
from schemas.errors import FerryError
from schemas.settings import Postgres, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.waiting import until_blocked_by

PASSWORD = "canary-7f3a"


def everything_said(error: BaseException | None) -> str:
    """All that a traceback would print."""
    said = ""
    while error is not None:
        said += f"{error!r} {error} {vars(error) if isinstance(error, FerryError) else ''}"
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__
    return said


def test_a_closed_port_is_named_and_the_password_is_not(settings: Settings) -> None:
    port = free_port()
    dsn = f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/books"
    unreachable = msgspec.structs.replace(settings, postgres=Postgres(dsn=dsn))

    with pytest.raises(DatabaseUnreachable) as refused:
        connect(unreachable, "test")

    assert refused.value.where == f"127.0.0.1:{port}, database books"
    assert "memferry stack up" in refused.value.remedy
    assert PASSWORD not in everything_said(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://ada:{PASSWORD}%zz@127.0.0.1:1/books",
        f"postgresql://ada:x@{PASSWORD}@127.0.0.1:1/books",
        f"postgresql://ada:{PASSWORD}/x@127.0.0.1:1/books",
        f"postgresql://ada:{PASSWORD}@127.0.0.1:port/books",
        f"postgresql://ada:{PASSWORD}@127.0.0.1:1/books?sslmode=perhaps",
        f"host=127.0.0.1 port=1 password={PASSWORD} and",
        f"host=127.0.0.1 port=1 password='{PASSWORD}",
        f"host=127.0.0.1 port=1 pasword={PASSWORD}",
        f"host=127.0.0.1 port={PASSWORD}",
        PASSWORD,
    ],
)
def test_a_connection_string_that_was_written_wrongly_is_not_repeated(
    settings: Settings, dsn: str
) -> None:
    wrong = msgspec.structs.replace(settings, postgres=Postgres(dsn=dsn, connect_timeout_s=2))

    with pytest.raises(DatabaseUnreachable) as refused:
        connect(wrong, "test")

    assert "postgres.dsn" in refused.value.remedy
    assert PASSWORD not in everything_said(refused.value)


def test_a_wrong_password_is_not_repeated(settings: Settings) -> None:
    dsn = msgspec.structs.replace(
        settings.postgres, dsn=f"{settings.postgres.dsn}&password={PASSWORD}"
    )

    with pytest.raises(DatabaseUnreachable) as refused:
        connect(msgspec.structs.replace(settings, postgres=dsn), "test")

    assert "password authentication failed" in refused.value.what
    assert PASSWORD not in everything_said(refused.value)


def test_a_connection_says_whose_it_is(settings: Settings) -> None:
    with connect(settings, "audit") as conn:
        name = conn.execute("SHOW application_name").fetchone()

        assert name == ("memferry audit",)
        assert conn.autocommit


def test_a_projection_is_made_once_with_its_tables_and_checkpoints(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    first = establish(database, settings, DOMAIN, 3)
    database.execute(f"INSERT INTO {first.name}.readings VALUES ('m', 1, 2)")

    again = establish(database, settings, DOMAIN, 3)

    made = Projection(settings.projection, settings.topic, 1, 3, "live", "", first.code)
    assert first == again == made
    assert {kind for kind, _ in first.code} == {"account", "reading"}
    assert database.execute(f"SELECT count(*) FROM {first.name}.readings").fetchone() == (1,)
    checkpoints = database.execute(
        "SELECT partition, term, next_offset FROM memferry.checkpoint WHERE projection = %s",
        (first.name,),
    ).fetchall()
    assert sorted(checkpoints) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]


def test_a_projection_without_a_name_takes_the_domains(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    unnamed = msgspec.structs.replace(settings, projection="")

    with database.transaction(force_rollback=True):
        assert establish(database, unnamed, DOMAIN, 3).name == "ledger"


def test_two_may_establish_at_the_same_moment_in_an_empty_database(
    own_database: Settings, database: psycopg.Connection[Any]
) -> None:
    with (
        connect(own_database, "first") as first,
        connect(own_database, "second") as second,
        ThreadPoolExecutor(1) as pool,
    ):
        with first.transaction():
            made = establish(first, own_database, DOMAIN, 3)
            other = pool.submit(establish, second, own_database, DOMAIN, 3)
            until_blocked_by(database, first)

        assert other.result(10) == made


def test_columns_that_earlier_control_tables_lack_are_added(own_database: Settings) -> None:
    with connect(own_database, "first") as conn:
        made = establish(conn, own_database, DOMAIN, 3)
        conn.execute("ALTER TABLE memferry.checkpoint DROP COLUMN tail")
        conn.execute("ALTER TABLE memferry.request DROP COLUMN question")

        assert establish(conn, own_database, DOMAIN, 3) == made

        assert claim(conn, made, "live").tails == {}
        assert conn.execute("SELECT question FROM memferry.request").fetchall() == []


@pytest.mark.parametrize("changes", [{"topic": "another"}, {}])
def test_a_projection_of_another_topic_or_partition_count_is_refused(
    settings: Settings,
    database: psycopg.Connection[Any],
    projection: Projection,
    changes: dict[str, Any],
) -> None:
    changed = msgspec.structs.replace(settings, **changes)

    with pytest.raises(ProjectionMismatch) as refused:
        establish(database, changed, DOMAIN, 3 if changes else 4)

    assert repr(settings.topic) in refused.value.what
    assert settings.projection in refused.value.where


def test_control_tables_of_another_format_are_refused(
    settings: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    with database.transaction(force_rollback=True):
        database.execute("UPDATE memferry.format SET version = 99")

        with pytest.raises(FormatMismatch, match="99"), database.transaction():
            establish(database, settings, DOMAIN, 3)


def test_a_schema_with_tables_that_no_projection_made_is_left_alone(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute(f"CREATE SCHEMA {settings.projection}")
    database.execute(f"CREATE TABLE {settings.projection}.accounts AS SELECT 'mine' AS word")

    with pytest.raises(SchemaOccupied) as refused:
        establish(database, settings, DOMAIN, 3)

    assert refused.value.where == f"schema {settings.projection}"
    assert "`projection`" in refused.value.remedy
    kept = database.execute(f"SELECT word FROM {settings.projection}.accounts").fetchall()
    assert kept == [("mine",)]
    with pytest.raises(ProjectionMissing):
        read_projection(database, settings.projection)


def test_a_projection_that_was_never_made_is_named(
    settings: Settings, database: psycopg.Connection[Any], make_settings: Callable[..., Settings]
) -> None:
    establish(database, make_settings(), DOMAIN, 3)

    with pytest.raises(ProjectionMissing) as refused:
        read_projection(database, settings.projection)

    assert repr(settings.projection) in refused.value.what
    assert "memferry project" in refused.value.remedy


def test_a_projection_is_missing_where_there_are_no_control_tables_at_all(
    settings: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    with database.transaction(force_rollback=True):
        database.execute("DROP SCHEMA memferry CASCADE")

        with pytest.raises(ProjectionMissing):
            read_projection(database, settings.projection)


def test_a_state_is_set_with_its_reason(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    set_state(database, projection.name, "held", "replayed to 0:1")

    found = read_projection(database, projection.name)

    assert (found.state, found.reason) == ("held", "replayed to 0:1")
