"""Indexes that are away while tables are filled are there again behind it, whoever finishes."""

from typing import Any

import psycopg
import pytest

from projector.control_tables import establish
from projector.drift import find_drift
from projector.replay.rebuild import drop_secondary, finish
from schemas.settings import Settings
from schemas.trading import DOMAIN


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> str:
    return establish(database, settings, DOMAIN, 1).name


def left(conn: psycopg.Connection[Any], schema: str) -> set[str]:
    statement = "SELECT indexname FROM pg_indexes WHERE schemaname = %s"
    return {name for (name,) in conn.execute(statement, (schema,))}


def test_keys_stay_and_all_is_there_behind_it(
    schema: str, database: psycopg.Connection[Any]
) -> None:
    before = left(database, schema)

    dropped = drop_secondary(database, schema, DOMAIN)
    between = left(database, schema)
    finish(database, schema, DOMAIN)

    assert set(dropped) == before - between
    assert {"trades_alive", "strategy_executions_by_strategy"} <= set(dropped)
    assert "trades_pkey" in between
    assert left(database, schema) == before
    assert not find_drift(database, schema, DOMAIN)


def test_whoever_finishes_after_a_death_finishes_all(
    schema: str, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    before = left(database, schema)
    drop_secondary(database, schema, DOMAIN)
    drop_secondary(database, schema, DOMAIN)  # by one that went on
    made = f"CREATE INDEX CONCURRENTLY trades_alive ON {schema}.trades (symbol)"
    with psycopg.connect(settings.postgres.dsn) as writer:
        writer.execute(f"LOCK TABLE {schema}.trades IN ROW EXCLUSIVE MODE")
        database.execute("SET lock_timeout = '10ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            database.execute(made)  # what is left of it is of no use
        database.execute("RESET lock_timeout")

    for _ in range(2):
        finish(database, schema, DOMAIN)

    analysed = (
        "SELECT count(*) FROM pg_class WHERE relname = 'trades' AND reltuples = 0 "
        "AND relnamespace = %s::regnamespace"
    )
    assert left(database, schema) == before
    assert not find_drift(database, schema, DOMAIN)
    assert database.execute(analysed, (schema,)).fetchone() == (1,)


def test_a_table_that_somebody_reads_keeps_its_indexes(
    schema: str, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(settings.postgres.dsn) as reader:
        reader.execute(f"SELECT FROM {schema}.trades")

        dropped = drop_secondary(database, schema, DOMAIN)

    assert dropped == ["strategy_executions_by_strategy"]
