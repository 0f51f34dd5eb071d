from typing import Any

import psycopg
import pytest

from projector.control_tables import establish
from projector.drift import find_drift
from projector.renewal import TablesNeeded, renew
from schemas.domain import Domain
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN as LEDGER

VIEW = "CREATE VIEW rich AS SELECT account FROM accounts WHERE balance > 100;"
NOW = Domain(
    LEDGER.name,
    LEDGER.kinds,
    LEDGER.ddl.replace("owner text", "owner varchar(99)")
    + VIEW
    + "CREATE INDEX accounts_by_owner ON accounts (owner); COMMENT ON TABLE accounts IS 'All.';",
)


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> str:
    """A projection of earlier DDL, with a row in each table."""
    name = settings.projection
    establish(database, settings, Domain(LEDGER.name, LEDGER.kinds, LEDGER.ddl + VIEW), 1)
    database.execute(f"INSERT INTO {name}.accounts VALUES ('A-1', 'Ada', 5, now(), '[]')")
    database.execute(f"INSERT INTO {name}.readings VALUES ('m', 1, 2)")
    return name


def count(conn: psycopg.Connection[Any], schema: str, table: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM {schema}.{table}").fetchone()
    assert row
    return int(row[0])


def test_a_table_whose_columns_changed_is_made_anew_and_the_others_keep_their_rows(
    database: psycopg.Connection[Any], schema: str
) -> None:
    with database.transaction():
        reasons = renew(database, schema, NOW)

    assert [one.place for one in reasons] == ["column accounts.owner"]
    assert find_drift(database, schema, NOW) == []
    assert (count(database, schema, "accounts"), count(database, schema, "readings")) == (0, 1)
    assert count(database, schema, "rich") == 0


def test_tables_as_the_ddl_says_are_left_with_their_rows_and_what_others_made(
    database: psycopg.Connection[Any], schema: str
) -> None:
    database.execute(f"CREATE INDEX mine ON {schema}.accounts (owner)")

    with database.transaction():
        reasons = renew(database, schema, Domain(LEDGER.name, LEDGER.kinds, LEDGER.ddl + VIEW))

    assert reasons == []
    assert count(database, schema, "accounts") == 1
    assert database.execute("SELECT to_regclass(%s)", (f"{schema}.mine",)).fetchone() != (None,)


def test_what_a_rollback_takes_back_is_all_of_it(
    database: psycopg.Connection[Any], schema: str
) -> None:
    before = find_drift(database, schema, NOW)
    with database.transaction(force_rollback=True):
        renew(database, schema, NOW)

    assert find_drift(database, schema, NOW) == before
    assert count(database, schema, "accounts") == 1


def test_a_table_that_somebody_elses_view_reads_is_not_dropped(
    database: psycopg.Connection[Any], schema: str
) -> None:
    database.execute(f"CREATE VIEW {schema}.mine AS SELECT owner FROM {schema}.accounts")

    with pytest.raises(TablesNeeded, match="mine") as refused, database.transaction():
        renew(database, schema, NOW)

    assert "drop what is named" in refused.value.remedy
    assert count(database, schema, "accounts") == 1
