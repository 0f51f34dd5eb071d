from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projector.audit import table_scan
from projector.audit.compare import FoundRow
from projector.audit.table_scan import table_snapshot
from projector.checkpoint import advance, claim
from projector.control_tables import Projection
from schemas.digest import bucket_of, digest_of, row_digest, value_text
from schemas.settings import Settings
from schemas.table_sums import Sums
from schemas.tables import Table
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


def test_rows_are_read_by_key_with_digest_and_texts(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    row = ("a", "Ada", Decimal("1.5"), OPENED, {"x": "y"})

    with table_snapshot(database, filled.name) as snapshot:
        found = snapshot.rows(ACCOUNTS, [bucket_of(ACCOUNTS, row)])

    assert found == {"a": FoundRow(row_digest(ACCOUNTS, row), [value_text(v) for v in row])}


def readings() -> Sums:
    sums = Sums()
    for n in range(1, 24):
        sums.add(*digest_of(READINGS)(("m", n, Decimal(n) / 8)))
    return sums


def test_postgresql_digests_a_table_as_reading_it_does(
    database: psycopg.Connection[Any], filled: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_scan, "_ITEM_ROWS", 5)  # several fetches

    with table_snapshot(database, filled.name) as snapshot:
        by_database = snapshot.sums(READINGS)
        by_reading = snapshot.sums(READINGS, by_reading=True)
        ways = [snapshot.digested_by_database(table) for table in (READINGS, ACCOUNTS)]

    assert by_database == readings()
    assert by_reading == readings()
    assert by_database.total_rows == 23
    assert ways == [True, False]  # a document has no text that PostgreSQL and we agree on


def test_a_table_with_documents_is_digested_as_it_is_read(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    sums = Sums()
    sums.add(*digest_of(ACCOUNTS)(("a", "Ada", Decimal("1.5"), OPENED, {"x": "y"})))

    with table_snapshot(database, filled.name) as snapshot:
        assert snapshot.sums(ACCOUNTS) == sums


def test_rows_are_read_of_the_buckets_that_are_asked_for_alone(
    database: psycopg.Connection[Any], filled: Projection
) -> None:
    one = bucket_of(READINGS, ("m", 7, Decimal(7) / 8))

    with table_snapshot(database, filled.name) as snapshot:
        found = snapshot.rows(READINGS, [one])

    keys = {f"m/{n}" for n in range(1, 24) if bucket_of(READINGS, ("m", n, Decimal(0))) == one}
    assert found.keys() == keys
    assert 0 < len(keys) < 23


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
        then = snapshot.offsets, snapshot.sums(ACCOUNTS).total_rows
    with table_snapshot(database, filled.name) as snapshot:
        now = snapshot.offsets, snapshot.sums(ACCOUNTS).total_rows

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
        before = snapshot.sums(ACCOUNTS)
    database.execute("SET timezone = 'Asia/Kolkata'")

    with table_snapshot(database, filled.name) as snapshot:
        assert snapshot.sums(ACCOUNTS) == before


def test_an_enumeration_of_the_database_is_digested_and_read_as_its_text(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    name = projection.name
    database.execute(f"CREATE TYPE {name}.mood AS ENUM ('calm', 'keen')")
    database.execute(f"CREATE TABLE {name}.moods (who text PRIMARY KEY, mood {name}.mood)")
    database.execute(f"INSERT INTO {name}.moods VALUES ('Ada', 'keen'), ('Eve', NULL)")
    moods = Table("moods", ("who", "mood"), ("who",))
    sums = Sums()
    for row in [("Ada", "keen"), ("Eve", None)]:
        sums.add(*digest_of(moods)(row))

    with table_snapshot(database, name) as snapshot:
        found = snapshot.sums(moods), snapshot.sums(moods, by_reading=True)
        rows = snapshot.rows(moods, range(32))

    assert found == (sums, sums)
    assert rows["Ada"].texts == ["3:Ada", "4:keen"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("SELECT 1", ""),
        ("DROP TABLE readings CASCADE", "the table is not there"),
        ("ALTER TABLE readings RENAME COLUMN value TO amount", "the columns value are not there"),
    ],
)
def test_what_a_table_lacks_is_said(
    damage: str, said: str, database: psycopg.Connection[Any], filled: Projection
) -> None:
    database.execute(f"SET search_path TO {filled.name}")
    database.execute(damage)

    with table_snapshot(database, filled.name) as snapshot:
        assert snapshot.lacks(READINGS) == said
        assert snapshot.lacks(ACCOUNTS) == ""


def test_no_table_is_emptied_under_a_snapshot(
    settings: Settings, database: psycopg.Connection[Any], filled: Projection
) -> None:
    """To an older snapshot a truncated table is empty, while the checkpoint is as it was."""
    with (
        psycopg.connect(settings.postgres.dsn, autocommit=True) as other,
        table_snapshot(database, filled.name) as snapshot,
    ):
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(f"TRUNCATE {filled.name}.accounts, {filled.name}.readings")

        assert snapshot.sums(READINGS).total_rows == 23
