"""Digests that triggers keep: whatever is done to a table, they move as a scan of it does."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from projector.audit import kept_digests
from projector.audit.kept_digests import (
    TablesBusy,
    begin_keeping,
    end_keeping,
    kept_tables,
    read_kept,
)
from projector.audit.table_scan import table_snapshot
from projector.control_tables import Projection, establish
from projector.drift import find_drift
from schemas.settings import Settings
from schemas.table_sums import Sums
from schemas.trading import DOMAIN

Database = psycopg.Connection[Any]
KEPT = {"market_bars", "trades", "strategy_executions", "portfolio_snapshots",
        "portfolio_positions"}  # fmt: skip
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def projection(settings: Settings, database: Database) -> Projection:
    found = establish(database, settings, DOMAIN, settings.kafka.partitions)
    database.execute(f"SET search_path TO {found.name}")
    database.execute(
        "CREATE TABLE bars_of_then PARTITION OF market_bars "
        "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    database.execute(
        "CREATE TABLE bars_of_later PARTITION OF market_bars "
        "FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    )
    return found


def scan(conn: Database, projection: Projection) -> dict[str, Sums]:
    with table_snapshot(conn, projection.name) as snapshot:
        return {name: snapshot.sums(DOMAIN.tables[name]) for name in KEPT}


def bar(number: int) -> tuple[Any, ...]:
    at = AT + timedelta(minutes=number)
    return ("AAPL", at, 0, 2, 3, 1, 2, number)


def change(conn: Database, chance: random.Random) -> None:
    """Do something to the tables, as a projector or a hand does."""
    match chance.randrange(8):
        case 0:
            rows = [bar(chance.randrange(400_000)) for _ in range(chance.randrange(1, 40))]
            with conn.cursor() as cursor, cursor.copy("COPY market_bars FROM STDIN") as copy:
                for row in {row[1]: row for row in rows}.values():
                    copy.write_row(row)
        case 1:
            conn.execute(
                "INSERT INTO market_bars SELECT 'MSFT', opened_at, 1, open, high, low, close, 1 "
                "FROM market_bars WHERE symbol = 'AAPL' "
                "ON CONFLICT (symbol, opened_at) DO UPDATE SET volume = 7"
            )
        case 2:
            conn.execute("UPDATE market_bars SET close = low + 0.50 WHERE volume % 3 = 0")
        case 3:
            conn.execute("DELETE FROM market_bars WHERE volume % 5 = 1")
        case 4:
            conn.execute("UPDATE market_bars SET volume = volume WHERE volume = -1")
        case 5:  # straight into a partition, past its parent
            conn.execute("UPDATE bars_of_then SET volume = volume + 1 WHERE volume % 2 = 0")
        case 6:  # from one partition to another
            conn.execute(
                "UPDATE market_bars SET opened_at = opened_at + INTERVAL '1 year' "
                "WHERE opened_at < '2027-01-01' AND volume % 7 = 1"
            )
        case _:
            conn.execute(
                "INSERT INTO trades SELECT 'T-' || gen_random_uuid(), 'S', 'A', 'buy', 'open', "
                "1.50, 2, 0, 0, NULL, 0, NULL, NULL, now(), 0, now(), 0, NULL, NULL "
                "FROM generate_series(1, 5)"
            )


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_moves_as_a_scan_does(
    projection: Projection, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(5):
        change(database, chance)
    left = begin_keeping(database, projection.name, DOMAIN)
    before = scan(database, projection)

    for _ in range(15):
        change(database, chance)

    after, kept = scan(database, projection), read_kept(database, projection.name)
    assert left == ["strategies"]  # its parameters are a document
    assert kept_tables(database, projection.name) == KEPT
    assert not kept.truncated
    for table in KEPT:
        assert kept.sums.get(table, Sums()) == after[table] - before[table], table
    assert after["market_bars"] != before["market_bars"]


def test_what_a_transaction_takes_back_is_not_kept(
    projection: Projection, database: Database
) -> None:
    begin_keeping(database, projection.name, DOMAIN)

    with database.transaction(force_rollback=True):
        change(database, random.Random(0))

    assert read_kept(database, projection.name).sums == {}


def test_a_table_that_was_truncated_is_known_no_more(
    projection: Projection, database: Database
) -> None:
    begin_keeping(database, projection.name, DOMAIN)

    database.execute("TRUNCATE bars_of_then")
    database.execute("TRUNCATE market_bars")

    assert read_kept(database, projection.name).truncated == {"market_bars"}


def test_to_begin_again_forgets_and_to_end_leaves_nothing(
    projection: Projection, database: Database
) -> None:
    begin_keeping(database, projection.name, DOMAIN)
    database.execute("TRUNCATE market_bars")
    begin_keeping(database, projection.name, DOMAIN)
    again = read_kept(database, projection.name)

    end_keeping(database, projection.name)
    change(database, random.Random(0))

    assert again == kept_digests.Kept({}, frozenset())
    assert read_kept(database, projection.name) == again
    assert kept_tables(database, projection.name) == set()
    functions = database.execute(
        "SELECT count(*) FROM pg_proc WHERE proname LIKE 'kept_%%' AND prosrc LIKE %s",
        (f"%{projection.name}%",),
    ).fetchone()
    assert functions == (0,)


def test_triggers_of_ours_are_no_drift(projection: Projection, database: Database) -> None:
    before = find_drift(database, projection.name, DOMAIN)

    begin_keeping(database, projection.name, DOMAIN)

    assert find_drift(database, projection.name, DOMAIN) == before


def test_a_table_that_stays_locked_is_named_and_nobody_waits_behind_the_attempts(
    projection: Projection,
    settings: Settings,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_digests, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(kept_digests, "_LOCK_MS", 20)
    with psycopg.connect(settings.postgres.dsn) as other:
        other.execute(f"LOCK TABLE {projection.name}.trades IN ROW EXCLUSIVE MODE")

        with pytest.raises(TablesBusy, match="table trades was in use"):
            begin_keeping(database, projection.name, DOMAIN)
