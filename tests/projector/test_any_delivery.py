"""However a log is cut, doubled and handed to workers that die: the tables are the same."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from projector.apply import FEW_ROWS, Applier
from projector.batch import Handler
from projector.checkpoint import Fenced, claim
from projector.control_tables import Projection, establish
from projector.lanes import LaneBook
from projector.transaction import Transactions
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.deliveries import (
    PARTITIONS,
    SOURCE,
    Log,
    Step,
    logs,
    one_at_a_time,
    plain,
    steps,
    the_rest,
)


class Worker:
    """A connection, a claim on every partition, and what a projector does with them."""

    def __init__(self, settings: Settings, projection: Projection, few_rows: int) -> None:
        self.conn = psycopg.connect(settings.postgres.dsn, autocommit=True)
        held = self._held = claim(self.conn, projection, "live")
        applier = Applier(self.conn, projection.name, DOMAIN.tables.values(), few_rows=few_rows)
        self._transactions = Transactions(self.conn, applier, DOMAIN, held)
        self._handler = Handler(DOMAIN, LaneBook(projection.generation, held.lanes, {SOURCE}))

    def take(self, log: Log, step: Step) -> None:
        """Handle and apply the next records behind the claim, and end as the step says."""
        segments = [
            self._handler.segment(p, begin, log[p][begin : begin + step.records[p]], None)
            for p, begin in self._held.offsets.items()
        ]
        assert not any(segment.stopped for segment in segments)
        if step.fate == "dies within":
            self.conn.execute("SET test.fate = 'die'")
        if step.fate != "dies before":
            self._transactions.apply(segments)


@pytest.fixture(scope="module")
def settings_here(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    endpoints = stack.endpoints()
    base = Settings()
    return msgspec.structs.replace(
        base,
        topic="deliveries",
        projection="deliveries",
        postgres=msgspec.structs.replace(base.postgres, dsn=endpoints.postgres),
    )


@pytest.fixture(scope="module")
def projection(settings_here: Settings) -> Iterator[Projection]:
    """A projection in whose tables a session dies that is told to, at its first change."""
    with psycopg.connect(settings_here.postgres.dsn, autocommit=True) as conn:
        made = establish(conn, settings_here, DOMAIN, PARTITIONS)
        conn.execute(
            f"""
            ALTER TABLE {made.name}.accounts ADD CHECK (owner <> 'Mallory');
            CREATE FUNCTION {made.name}.die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF current_setting('test.fate', true) = 'die' THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER fate AFTER INSERT OR UPDATE OR DELETE ON {made.name}.accounts
                FOR EACH STATEMENT EXECUTE FUNCTION {made.name}.die();
            """
        )
        yield made
        conn.execute(f"DROP SCHEMA {made.name} CASCADE")
        conn.execute("DELETE FROM memferry.projection WHERE name = %s", (made.name,))


@given(log=logs(), delivered=steps(), few_rows=st.sampled_from([0, FEW_ROWS]))
@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_workers_that_die_anywhere_leave_the_tables_of_one_event_at_a_time(
    settings_here: Settings,
    projection: Projection,
    log: Log,
    delivered: list[Step],
    few_rows: int,
) -> None:
    expected = outcome(settings_here, projection, log, one_at_a_time(log), FEW_ROWS)

    assert outcome(settings_here, projection, log, delivered, few_rows) == expected


def outcome(
    settings: Settings, projection: Projection, log: Log, delivered: list[Step], few_rows: int
) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that is stored once the steps are done and the last worker has done the rest."""
    workers: dict[int, Worker] = {}
    with ExitStack() as stack:
        conn = stack.enter_context(psycopg.connect(settings.postgres.dsn, autocommit=True))
        empty(conn, projection.name)
        for step in [*delivered, the_rest(log)]:
            if step.worker not in workers:
                worker = workers[step.worker] = Worker(settings, projection, few_rows)
                stack.callback(worker.conn.close)
            try:
                workers[step.worker].take(log, step)
            except (Fenced, psycopg.OperationalError):
                workers.pop(step.worker).conn.close()
            else:
                if step.fate != "lives":
                    workers.pop(step.worker).conn.close()
        return stored(conn, projection.name)


def empty(conn: psycopg.Connection[Any], name: str) -> None:
    conn.execute(
        f"""
        TRUNCATE {name}.accounts, {name}.readings;
        DELETE FROM memferry.parked WHERE projection = '{name}';
        DELETE FROM memferry.lane WHERE projection = '{name}';
        UPDATE memferry.checkpoint SET next_offset = 0, tail = '', term = term + 1
        WHERE projection = '{name}';
        """
    )


def stored(conn: psycopg.Connection[Any], name: str) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: plain(conn.execute(text).fetchall())
        for table, text in {
            "accounts": f"SELECT * FROM {name}.accounts",
            "readings": f"SELECT * FROM {name}.readings",
            "parked": "SELECT partition, record_offset, source, seq, stream, type, event, behind "
            f"FROM memferry.parked WHERE projection = '{name}'",
            "lanes": "SELECT source, partition, seq, digest, epoch FROM memferry.lane "
            f"WHERE projection = '{name}'",
            "checkpoint": "SELECT partition, next_offset, tail, stopped FROM memferry.checkpoint "
            f"WHERE projection = '{name}'",
        }.items()
    }
