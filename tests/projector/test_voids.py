from typing import Any

import msgspec
import psycopg
import pytest

from projector.checkpoint import Fenced, claim, require_held
from projector.control_tables import Projection
from projector.control_topic import read_control
from projector.lanes import RecordRefused
from projector.sql import query
from projector.voids import (
    VoidMissing,
    adopt,
    fits,
    in_force,
    list_voids,
    obey,
    obeyed_by,
    obeyed_places,
    unlike,
)
from schemas.control import CONTROL_TYPE_OF, RolledBack, TailRestored, TailVoided
from schemas.lane import LaneId
from schemas.settings import Settings
from schemas.void import OPEN_END, Span, Void
from tests.projector.app import accounts_in
from tests.projector.broker import Broker
from tests.projector.voided import Written, deposited, opened

A, B = accounts_in(0, 2)
C, D = accounts_in(1, 2)
ACCOUNTS = (A, B, C, D)
LANE = LaneId("app-1", 1, 0)


def known(conn: psycopg.Connection[Any], topic: str, void: Void, *, restored: bool = False) -> None:
    values = {"topic": topic, "id": void.id, "source": void.source, "at": "2024-01-01Z"}
    text = msgspec.json.encode(void).decode()
    conn.execute(query("void_add"), values | {"void": text, "actor": "Ada", "reason": "a mistake"})
    if restored:
        conn.execute(query("void_restored"), values | {"actor": "Eve"})


def applied(conn: psycopg.Connection[Any], projection: str, partition: int, seq: int) -> None:
    conn.execute(
        "INSERT INTO memferry.lane (projection, source, generation, partition, seq, digest, epoch) "
        "VALUES (%s, 'app-1', 1, %s, %s, repeat('0', 64), 1)",
        (projection, partition, seq),
    )


V = Void("v", "app-1", 1, {0: Span(3, 9), 1: Span(5, 6)})
PLACE = ("v", "app-1")


def test_rows_that_hold_nothing_of_it_take_a_void_over_and_fence_whoever_read_on_without(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    applied(database, projection.name, 0, 3)
    before = claim(database, projection, "live")
    known(database, projection.topic, V)

    assert adopt(database, projection.topic, projection.name, state="held") is False
    assert adopt(database, projection.topic, projection.name, state="live") is True
    assert adopt(database, projection.topic, projection.name) is False

    assert obeyed_places(database, projection.name) == {PLACE}
    assert unlike(database, projection.topic, projection.name) == []
    obeyed = obeyed_by(database, projection.topic, 1, projection.name)
    assert (obeyed.parts, obeyed.restored) == ([V], set())
    with pytest.raises(Fenced):
        require_held(database, before)


def test_rows_that_hold_something_of_it_do_not_and_are_unlike_the_log(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    applied(database, projection.name, 0, 3)
    applied(database, projection.name, 1, 6)
    held = claim(database, projection, "live")
    known(database, projection.topic, V)

    assert adopt(database, projection.topic, projection.name) is False

    require_held(database, held)
    assert unlike(database, projection.topic, projection.name) == ["v"]
    assert not fits(database, projection.topic, projection.name)
    assert fits(database, projection.topic, projection.name, lifted=["v"])
    obeyed = obeyed_by(database, projection.topic, 1, projection.name)
    assert (obeyed.parts, obeyed.restored) == ([], set())
    assert in_force(database, projection.topic, 1).parts == [V]


def test_the_reversal_of_a_void_is_taken_over_in_the_same_way(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    known(database, projection.topic, V)
    adopt(database, projection.topic, projection.name)
    known(database, projection.topic, V, restored=True)

    assert fits(database, projection.topic, projection.name)
    assert adopt(database, projection.topic, projection.name) is True

    (one,) = list_voids(database, projection.topic)
    assert (one.void, one.actor, one.restored_by) == (V, "Ada", "Eve")
    assert obeyed_places(database, projection.name) == set()
    assert obeyed_by(database, projection.topic, 1, projection.name).restored == {PLACE}
    obey(database, projection.name, V)
    applied(database, projection.name, 0, 4)
    assert adopt(database, projection.topic, projection.name) is False
    assert unlike(database, projection.topic, projection.name) == ["v"]


def test_a_void_that_is_prepared_is_obeyed_and_ends_where_the_log_says_once_it_is_decided(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    topic, name = projection.topic, projection.name
    prepared = Void("v", "app-1", 1, {0: Span(3, OPEN_END)})

    assert adopt(database, topic, name, assumed=[prepared]) is True

    open_ended = obeyed_by(database, topic, 1, name, assumed=[prepared])
    assert (open_ended.parts, open_ended.open) == ([prepared], {PLACE})
    with pytest.raises(VoidMissing, match="never decided"):
        obeyed_by(database, topic, 1, name)
    applied(database, name, 0, 8)
    known(database, topic, V)
    for assumed in ([], [prepared]):
        assert obeyed_by(database, topic, 1, name, assumed=assumed).parts == [V]
    assert unlike(database, topic, name) == []


def test_a_void_that_is_lifted_is_not_obeyed_though_it_is_in_force(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    topic, name = projection.topic, projection.name
    known(database, topic, V)
    adopt(database, topic, name)

    assert adopt(database, topic, name, lifted=["v"]) is True

    lifted = obeyed_by(database, topic, 1, name, lifted=["v"])
    assert (lifted.parts, lifted.restored) == ([], {PLACE})


# --- the control topic


async def test_what_a_source_voids_and_restores_is_known_once_the_control_topic_is_read(
    broker: Broker, topic: Settings, database: psycopg.Connection[Any], projection: Projection
) -> None:
    written = Written(topic=topic.topic)
    written.record(*opened(A, C), deposited(A, 1, 1))
    first = written.void("v", {0: 1}, f"account/{A}")
    written.send(broker, topic)
    await read_control(database, topic)
    (known_first,) = list_voids(database, topic.topic)
    written.void("w", {1: 0})
    written.restore("v")
    written.send(broker, topic)

    seen: list[Any] = []
    await read_control(
        database, topic, keep=False, look=lambda: seen.extend(list_voids(database, topic.topic))
    )
    kept = len(list_voids(database, topic.topic))
    await read_control(database, topic)

    assert (known_first.void, known_first.reason) == (first, "a mistake")
    assert known_first.restored_at is None
    assert (len(seen), kept) == (2, 1)
    found = {one.void.id: one.restored_by for one in list_voids(database, topic.topic)}
    assert found == {"v": "Eve", "w": ""}


@pytest.mark.parametrize(
    "event",
    [
        TailVoided(Void("v", "app-2", 1, {0: Span(1, 3)}), "t", "none", "Eve"),
        TailRestored("v", "app-2", "t", "none", "Eve"),
        RolledBack("v", 1),
    ],
    ids=lambda event: CONTROL_TYPE_OF[type(event)],
)
async def test_a_source_that_voids_what_is_not_its_own_is_refused(
    event: Any,
    broker: Broker,
    topic: Settings,
    database: psycopg.Connection[Any],
    projection: Projection,
) -> None:
    written = Written(topic=topic.topic)
    written.say(event)
    written.send(broker, topic)

    with pytest.raises(RecordRefused, match="source 'app-1' says what is void of"):
        await read_control(database, topic)

    assert list_voids(database, topic.topic) == []
