"""The reading end of the PostgreSQL outbox: it comes back, and one relay at a time has it."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.postgres import PostgresOutbox
from eventlog.outbox.postgres_place import Place
from eventlog.outbox.postgres_reader import PostgresOutboxReader
from tests.eventlog.app import DEADLINE_S
from tests.eventlog.outbox.cutting import cut, items


def test_a_reader_comes_back_after_its_connection_was_cut(
    opened: Callable[..., PostgresOutbox], place: Place, dsn: str
) -> None:
    outbox = opened()
    outbox.append(items("a", "b"))
    reader = PostgresOutboxReader(place)
    assert reader.hold_relay()
    assert reader._conn is not None
    cut(dsn, reader._conn.info.backend_pid)

    with pytest.raises(ConnectionError):
        reader.last_row()

    assert (reader.last_row(), reader.heads()) == (2, outbox.heads())
    found = reader.at(1, 1)
    assert found is not None
    assert found.stream == "account/b"
    assert reader.at(1, 2) is None
    assert reader.columns(0, 10).as_rows() == outbox.rows(0, 10)
    other = PostgresOutboxReader(place)
    assert not other.hold_relay()
    other.close()
    reader.close()


def test_a_relay_that_lost_its_lock_to_another_does_not_go_on(
    opened: Callable[..., PostgresOutbox], place: Place, dsn: str
) -> None:
    opened()
    reader, other = PostgresOutboxReader(place), PostgresOutboxReader(place)
    assert reader.hold_relay()
    assert reader._conn is not None
    cut(dsn, reader._conn.info.backend_pid)
    assert wait_for(other.hold_relay)

    for _ in range(2):
        with pytest.raises(ConnectionError):
            reader.last_row()

    other.close()
    reader.close()


def wait_for(condition: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(condition() or pause.wait(0.01) for _ in range(int(DEADLINE_S * 100)))


def test_a_reader_of_nothing_is_refused_and_makes_nothing(place: Place, dsn: str) -> None:
    with pytest.raises(OutboxInvalid, match="there is no outbox"):
        PostgresOutboxReader(place)

    with psycopg.connect(dsn) as conn:
        statement = "SELECT FROM pg_namespace WHERE nspname = %s"
        assert conn.execute(statement, (place.schema,)).fetchone() is None
