"""Readers while tables are swapped: all that one transaction reads is of one set of tables."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel, sql

from projector.control_tables import Projection
from projector.replay.beside import drop, make
from projector.replay.exchange import exchange
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN

Connection = psycopg.Connection[Any]
SWAPS = 7
ROWS = 50
READ = {
    "accounts": "SELECT DISTINCT owner FROM {}",
    "readings": "SELECT DISTINCT value::text FROM {}",
    "owners": "SELECT owner FROM {}",
    "pairs": "SELECT DISTINCT mark FROM {}",
}


def mark(conn: Connection, schema: str, marker: str) -> None:
    """Every row of every table and view of a schema shows the marker."""
    with conn.transaction():
        conn.execute(
            sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(sql.Identifier(schema))
        )
        conn.execute(
            "INSERT INTO accounts SELECT n, %s, 0, now(), '{}' FROM generate_series(1, %s) AS n",
            (marker, ROWS),
        )
        conn.execute(
            "INSERT INTO readings SELECT 'm', n, %s FROM generate_series(1, %s) AS n",
            (int(marker), ROWS),
        )
        conn.execute("CREATE VIEW owners AS SELECT DISTINCT owner FROM accounts")
        conn.execute(
            "CREATE VIEW pairs AS SELECT owner AS mark FROM accounts "
            "UNION ALL SELECT value::text FROM readings"
        )


@pytest.fixture
def beside(projection: Projection, settings: Settings, database: Connection) -> Iterator[str]:
    """Live tables and views that show 1 everywhere, and others beside them that show 2."""
    name = make(database, projection.name, DOMAIN, "shadow")
    mark(database, projection.name, "1")
    mark(database, name, "2")
    yield name
    drop(database, name)


class Reader(threading.Thread):
    """Reads two of the tables and views, in any order, in one transaction after another."""

    def __init__(self, dsn: str, schema: str, isolation: IsolationLevel, seed: int) -> None:
        super().__init__(daemon=True)
        self._conn: Connection = psycopg.connect(dsn, autocommit=True)
        self._conn.isolation_level = isolation
        self._schema = schema
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self.seen: list[set[str]] = []
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.seen.append(self._transaction())
        except Exception as error:
            self.failed = error
        finally:
            self._conn.close()

    def _transaction(self) -> set[str]:
        names = self._random.sample(sorted(READ), 2)
        found: set[str] = set()
        with self._conn.transaction():
            for name in names:
                statement = sql.SQL(READ[name]).format(sql.Identifier(self._schema, name))
                found.update(marker for (marker,) in self._conn.execute(statement))
        return found

    def stop(self) -> None:
        self._stopping.set()
        self.join(20)
        assert not self.is_alive()


def test_no_reader_ever_sees_two_sets_of_tables_in_one_transaction(
    projection: Projection, settings: Settings, database: Connection, beside: str
) -> None:
    committed, repeatable = IsolationLevel.READ_COMMITTED, IsolationLevel.REPEATABLE_READ
    readers = [
        Reader(settings.postgres.dsn, projection.name, isolation, seed)
        for seed, isolation in enumerate((committed, repeatable, committed))
    ]
    for reader in readers:
        reader.start()

    for _ in range(SWAPS):
        exchange(database, projection.name, beside, DOMAIN, "live", "")
    for reader in readers:
        reader.stop()

    assert [reader.failed for reader in readers] == [None] * len(readers)
    seen = [markers for reader in readers for markers in reader.seen]
    assert all(len(markers) == 1 for markers in seen), [m for m in seen if len(m) != 1]
    assert set.union(*seen) == {"1", "2"}
