"""However a log is cut and doubled, a rebuild leaves the tables of one event at a time."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from projector.apply import FEW_ROWS
from projector.checkpoint import claim
from projector.control_tables import Projection, establish
from projector.progress import Progress
from projector.replay.rebuild.pouring import Pouring
from projector.session import Session
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.deliveries import PARTITIONS, SOURCE, Log, logs, one_at_a_time
from tests.projector.test_any_delivery import empty, outcome, stored


class Listed:
    """A log in memory, which gives so many records at once."""

    def __init__(self, log: Log, at_once: int) -> None:
        self._log, self._at_once = log, at_once

    async def fetch(self, offsets: Mapping[int, int]) -> dict[int, Sequence[Any]]:
        found = {p: self._log[p][begin : begin + self._at_once] for p, begin in offsets.items()}
        return {p: records for p, records in found.items() if records}


@pytest.fixture(scope="module")
def settings_here(stack: Any) -> Settings:
    base = Settings()
    return msgspec.structs.replace(
        base,
        topic="poured",
        projection="poured",
        postgres=msgspec.structs.replace(base.postgres, dsn=stack.endpoints().postgres),
    )


@pytest.fixture(scope="module")
def projection(settings_here: Settings) -> Iterator[Projection]:
    """A projection whose tables refuse an owner."""
    with psycopg.connect(settings_here.postgres.dsn, autocommit=True) as conn:
        made = establish(conn, settings_here, DOMAIN, PARTITIONS)
        conn.execute(f"ALTER TABLE {made.name}.accounts ADD CHECK (owner <> 'Mallory')")
        yield made
        conn.execute(f"DROP SCHEMA {made.name} CASCADE")
        conn.execute("DELETE FROM memferry.projection WHERE name = %s", (made.name,))


@given(
    log=logs(),
    at_once=st.integers(1, 20),
    batch=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 20), max_size=2),
)
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_log_that_is_poured_in_chunks_leaves_the_tables_of_one_event_at_a_time(
    settings_here: Settings,
    projection: Projection,
    log: Log,
    at_once: int,
    batch: int,
    cuts: list[int],
) -> None:
    expected = outcome(settings_here, projection, log, one_at_a_time(log), FEW_ROWS)
    small = msgspec.structs.replace(settings_here.projector, batch_events=batch)
    settings = msgspec.structs.replace(settings_here, projector=small)

    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        empty(conn, projection.name)
        for cut in [*sorted(cuts), 1_000]:
            asyncio.run(poured(settings, conn, projection, log, at_once, cut))
        found = stored(conn, projection.name)

    assert found == expected


async def poured(
    settings: Settings,
    conn: psycopg.Connection[Any],
    projection: Projection,
    log: Log,
    at_once: int,
    cut: int,
) -> Progress:
    """Pour a log into the projection, up to one offset in each partition."""
    until = {p: min(cut, len(records)) for p, records in log.items()}
    session = Session(
        settings, DOMAIN, projection, {SOURCE}, (), progress=Progress(),
        on_progress=lambda _: None, stopping=asyncio.Event(),
    )  # fmt: skip
    held = claim(conn, projection, "live")
    with ThreadPoolExecutor(1) as thread:
        await Pouring(
            session, conn, Listed(log, at_once), held, session.voids(conn),
            thread=thread, until=until, topic="log.1",
        ).run()  # fmt: skip
    return session.progress
