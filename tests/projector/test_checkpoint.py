import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from projector.checkpoint import (
    Fenced,
    ProjectionHeld,
    advance,
    claim,
    require_held,
    stop_partition,
)
from projector.control_tables import Projection, set_state
from schemas.lane import LaneHead, LaneId
from schemas.settings import Settings
from tests.projector.segments import lanes_in, offsets_in
from tests.projector.waiting import until_blocked_by

LANE = LaneId("app-1", 1, 0)


def head(seq: int) -> LaneHead:
    return LaneHead(seq, f"{seq:064d}", 1)


def test_a_claim_takes_every_partition_with_a_new_term(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    first = claim(database, projection, "live")
    second = claim(database, projection, "live")

    assert first.terms == {0: 1, 1: 1, 2: 1}
    assert second.terms == {0: 2, 1: 2, 2: 2}
    assert second.offsets == {0: 0, 1: 0, 2: 0}
    held_by = database.execute(
        "SELECT DISTINCT holder FROM memferry.checkpoint WHERE projection = %s", (projection.name,)
    ).fetchall()
    assert len(held_by) == 1
    assert f"process {os.getpid()}" in held_by[0][0]


def test_a_claim_goes_on_from_what_was_committed(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    held = claim(database, projection, "live")
    advance(database, held, {0: (0, 5, "")}, [(LANE, head(4))])

    again = claim(database, projection, "live")

    assert again.offsets == {0: 5, 1: 0, 2: 0}
    assert again.lanes == {LANE: head(4)}


@pytest.mark.parametrize("state", ["held", "rebuilding"])
def test_a_projection_in_another_state_cannot_be_claimed(
    database: psycopg.Connection[Any], projection: Projection, state: Any
) -> None:
    set_state(database, projection.name, state, "a reason")

    with pytest.raises(ProjectionHeld) as refused:
        claim(database, projection, "live")

    assert repr(projection.name) in refused.value.what
    assert "memferry status" in refused.value.remedy


def test_whoever_claimed_last_holds_it(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    held = claim(database, projection, "live")

    require_held(database, held)


def test_whoever_claimed_before_cannot_advance_any_more(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    passed = claim(database, projection, "live")
    claim(database, projection, "live")

    with pytest.raises(Fenced) as fenced, database.transaction():
        advance(database, passed, {0: (0, 5, "")}, [(LANE, head(4))])

    with pytest.raises(Fenced, match="was taken over"):
        require_held(database, passed)

    assert "term has passed" in fenced.value.what
    assert offsets_in(database, projection.name) == {0: 0, 1: 0, 2: 0}
    assert lanes_in(database, projection.name) == {}


@pytest.mark.parametrize(
    ("offsets", "lanes"),
    [
        ({0: (4, 9, "")}, []),
        ({0: (5, 9, ""), 1: (1, 2, "")}, []),
        ({0: (5, 9, ""), 7: (0, 2, "")}, []),
        ({0: (5, 9, "")}, [(LANE, head(4))]),
        ({0: (5, 9, "")}, [(LANE, head(3))]),
    ],
    ids=["other offset", "one of two", "no such partition", "same seq", "lower seq"],
)
def test_an_advance_from_anywhere_else_than_the_checkpoint_is_fenced(
    database: psycopg.Connection[Any],
    projection: Projection,
    offsets: dict[int, tuple[int, int, str]],
    lanes: list[tuple[LaneId, LaneHead]],
) -> None:
    held = claim(database, projection, "live")
    held.terms[7] = 1
    advance(database, held, {0: (0, 5, "")}, [(LANE, head(4))])

    with pytest.raises(Fenced), database.transaction():
        advance(database, held, offsets, lanes)

    assert offsets_in(database, projection.name) == {0: 5, 1: 0, 2: 0}
    assert lanes_in(database, projection.name) == {0: 4}


def test_a_claim_waits_for_a_commit_under_way_and_goes_on_behind_it(
    settings: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    held = claim(database, projection, "live")
    with (
        psycopg.connect(settings.postgres.dsn, autocommit=True) as watch,
        psycopg.connect(settings.postgres.dsn, autocommit=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        with database.transaction():
            advance(database, held, {0: (0, 5, "")}, [(LANE, head(4))])
            successor = pool.submit(claim, other, projection, "live")
            until_blocked_by(watch, database)
            assert not successor.done()

        assert successor.result(10).offsets[0] == 5
        assert successor.result().lanes == {LANE: head(4)}
    with pytest.raises(Fenced), database.transaction():
        advance(database, held, {0: (5, 6, "")}, [(LANE, head(5))])


def test_a_stop_is_noted_by_the_holder_only_and_cleared_by_the_next_claim(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    passed = claim(database, projection, "live")
    held = claim(database, projection, "live")

    stop_partition(database, passed, 1, "a zombie says")
    stop_partition(database, held, 2, "a hole")
    noted = database.execute(
        "SELECT partition, stopped FROM memferry.checkpoint "
        "WHERE projection = %s AND stopped <> ''",
        (projection.name,),
    ).fetchall()
    claim(database, projection, "live")

    assert noted == [(2, "a hole")]
    cleared = database.execute(
        "SELECT DISTINCT stopped FROM memferry.checkpoint WHERE projection = %s", (projection.name,)
    ).fetchall()
    assert cleared == [("",)]
