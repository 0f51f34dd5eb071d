from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projector.audit import table_scan
from projector.audit.table_scan import table_snapshot
from projector.checkpoint import advance, claim
from projector.control_tables import Projection
from schemas.digest import row_digest
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNTS, READINGS
from tests.projector.app import OPENED


@pytest.fixture
def filled(database: psycopg.Connection[Any], projection: Projection) -> Projection:
    database.execute(
        f"INSERT INTO {projection.name}.accounts VALUES ('a', 'Ada', 1.50, %s, '{{\"x\": \"y\"}}')",
        (OPENED,),
    )
    database.execute(
        f"INSERT INTO {projection.name}.readings "
        "SELECT 'm', n, n / 8.0 FROM generate_series(1, 23) AS n"
    )
    return projection


def test_rows_are_read_as_key_and_digest(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    with table_snapshot(database, filled.name) as snapshot:
        found = list(snapshot.rows(ACCOUNTS))

    row = ("a", "Ada", Decimal("1.5"), OPENED, {"x": "y"})
    assert found == [("a", row_digest("accounts", row))]


def test_tables_larger_than_a_fetch_are_read_whole(
    database: psycopg.Connection[Any], filled: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_scan, "_ITEM_ROWS", 5)

    with table_snapshot(database, filled.name) as snapshot:
        found = dict(snapshot.rows(READINGS))

    assert found == {
        f"m/{n}": row_digest("readings", ("m", n, Decimal(n) / 8)) for n in range(1, 24)
    }


def test_checkpoint_and_rows_are_of_one_moment(
    settings: Settings, database: psycopg.Connection[Any], filled: Projection
) -> None:
    held = claim(database, filled, "live")

    with (
        psycopg.connect(settings.postgres.dsn, autocommit=True) as other,
        table_snapshot(database, filled.name) as snapshot,
    ):
        advance(other, held, {0: (0, 5, "")}, [])
        other.execute(f"DELETE FROM {filled.name}.accounts")
        then = snapshot.offsets, len(list(snapshot.rows(ACCOUNTS)))
    with table_snapshot(database, filled.name) as snapshot:
        now = snapshot.offsets, len(list(snapshot.rows(ACCOUNTS)))

    assert then == ({0: 0, 1: 0, 2: 0}, 1)
    assert now == ({0: 5, 1: 0, 2: 0}, 0)


def test_a_snapshot_cannot_write_and_leaves_the_connection_as_it_was(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    with (
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        table_snapshot(database, filled.name),
    ):
        database.execute(f"DELETE FROM {filled.name}.accounts")

    database.execute(f"DELETE FROM {filled.name}.accounts")
    level = database.execute("SHOW transaction_isolation").fetchone()
    assert level == ("read committed",)


def test_the_time_zone_of_the_session_does_not_matter(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    with table_snapshot(database, filled.name) as snapshot:
        before = list(snapshot.rows(ACCOUNTS))
    database.execute("SET timezone = 'Asia/Kolkata'")

    with table_snapshot(database, filled.name) as snapshot:
        assert list(snapshot.rows(ACCOUNTS)) == before
