import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from projector import checkpoint
from projector.checkpoint import (
    Fenced,
    ProjectionHeld,
    advance,
    all_stopped,
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


def test_a_claim_of_some_partitions_leaves_the_others_and_their_lanes_to_whoever_has_them(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    first = claim(database, projection, "live", [0, 1])
    advance(database, first, {0: (0, 5, "")}, [(LANE, head(4))])

    other = claim(database, projection, "live", [1, 2])

    assert (other.terms, other.offsets, other.lanes) == ({1: 2, 2: 1}, {1: 0, 2: 0}, {})
    advance(database, first, {0: (5, 6, "")}, [(LANE, head(5))])
    advance(database, other, {1: (0, 1, "")}, [])
    with pytest.raises(Fenced), database.transaction():
        advance(database, first, {0: (6, 7, ""), 1: (1, 2, "")}, [(LANE, head(6))])
    require_held(database, other)
    with pytest.raises(Fenced, match="partitions"):
        require_held(database, first)
    assert offsets_in(database, projection.name) == {0: 6, 1: 1, 2: 0}


def test_a_claim_ends_the_connection_of_one_that_stands_still_in_its_transaction(
    settings: Settings,
    database: psycopg.Connection[Any],
    projection: Projection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "_PATIENCE_MS", 50)
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as frozen:
        held = claim(frozen, projection, "live")
        with pytest.raises(psycopg.OperationalError), frozen.transaction():
            advance(frozen, held, {0: (0, 5, "")}, [(LANE, head(4))])
            successor = claim(database, projection, "live")
            frozen.execute("SELECT 1")

    assert successor.offsets == {0: 0, 1: 0, 2: 0}
    assert successor.lanes == {}
    assert database.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_all_are_stopped_once_the_last_one_is(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    one = claim(database, projection, "live", [0, 1])
    other = claim(database, projection, "live", [2])
    stop_partition(database, one, 0, "a hole")
    stop_partition(database, other, 2, "a hole")
    assert not all_stopped(database, projection.name)

    stop_partition(database, one, 1, "a hole")
    assert all_stopped(database, projection.name)


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
