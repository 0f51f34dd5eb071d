"""Memory comes back over a damaged topic: from the outbox, or as a mend says."""

from typing import Any

import psycopg
import pytest

from eventlog.restart.tail import RestartIncomplete
from projector.mending.deciding import mend
from schemas.lane import partition_of
from tests.eventlog.app import DEADLINE_S, deposited, opened
from tests.eventlog.restart.life import PARTITIONS, Life, begin
from tests.projector.app import accounts_in
from tests.projector.projecting import project

WAYS = ["tables", "log"]
A = partition_of("account/a", PARTITIONS)


@pytest.mark.parametrize("way", WAYS)
async def test_a_record_that_is_nobodys_is_passed_over(life: Life, way: str) -> None:
    life.ferry.record_all([opened("a"), deposited("a", 5, 5)])
    life.send()
    await life.apply()
    life.garbage(A)
    life.unnumbered(A)
    life.ferry.record(deposited("a", 1, 6))
    life.send()
    life.prune()
    before = life.memory()

    life.restart(way)

    assert life.memory() == before


@pytest.mark.parametrize("way", WAYS)
async def test_what_the_topic_lost_comes_from_the_outbox(life: Life, way: str) -> None:
    await begin(life)
    life.ferry.record(deposited("a", 1, 7))
    life.ferry.durable.wait(life.ferry.recorded_position(), DEADLINE_S)
    newest = max(row.seq for row in life.rows() if row.partition == A)
    life.send(lambda rows: [row for row in rows if (row.partition, row.seq) != (A, newest - 1)])
    before = life.memory()

    life.restart(way)

    assert life.memory() == before


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_lost_everywhere_ends_a_restart_until_it_is_mended(
    life: Life, database: psycopg.Connection[Any], way: str
) -> None:
    lost, kept = accounts_in(A, 2, PARTITIONS)
    life.ferry.record(opened("a"))
    life.send()
    await life.apply()
    life.ferry.record(opened(lost))
    life.ferry.record(opened(kept))
    life.ferry.durable.wait(life.ferry.recorded_position(), DEADLINE_S)
    life.send(lambda rows: [row for row in rows if (row.partition, row.seq) != (A, 2)])
    life.forget(A, 2)
    with pytest.raises(RestartIncomplete, match="neither in the topic nor in the outbox"):
        life.restart(way)

    stopped = await project(life.settings)
    assert set(stopped.stopped) == {A}
    await mend(database, life.settings, life.settings.projection, A, reason="lost for good")
    life.start(way)

    assert set(life.accounts) == {"a", kept}
