from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from projector.control_tables import establish
from projector.replay import discarded as module
from projector.replay.discarded import Discarded, EventCount, discarded
from schemas.settings import Settings
from schemas.void import Span, Void
from tests.domains.ledger import DOMAIN
from tests.projector.broker import Broker
from tests.projector.replay.by_hand import DEPOSITED, OPENED, event, log_of, send, time_text


@pytest.fixture
def conn(topic: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A projection of the topic."""
    with psycopg.connect(topic.postgres.dsn, autocommit=True) as conn:
        establish(conn, topic, DOMAIN, topic.kafka.partitions)
        yield conn


async def behind(
    settings: Settings,
    conn: psycopg.Connection[Any],
    position: dict[int, int],
    streams: tuple[str, ...] = (),
) -> Discarded:
    async with log_of(settings) as log:
        ends = {p: end for p, (_, end) in (await log.bounds()).items()}
    return await discarded(settings, DOMAIN, conn, position, ends, streams)


async def test_what_is_behind_a_position_is_counted_once_by_kind_time_source_and_stream(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    sent = [
        event("app-1", 1, 10, stream="account/a", type=OPENED),
        event("app-1", 2, 20, stream="account/a"),
        event("app-1", 3, 30, stream="account/b", type=OPENED),
        event("app-1", 4, 40, stream="account/b"),
    ]
    send(broker, topic, [
        [*sent, sent[1], sent[3], event("app-1", 5, 50, type="memferry.barrier.placed.v1")],
        [event("app-2", 1, 5, stream="meter/x", type="other.kind.v1")],
        [event("app-2", 1, 15, stream="account/s", snapshot=True)],
    ])  # fmt: skip
    broker.send(topic, 2, [b"no event"])

    found = await behind(topic, conn, {0: 2, 1: 0, 2: 0})

    assert found.kinds == [
        EventCount("", "other.kind.v1", 1),
        EventCount("account", DEPOSITED, 2),
        EventCount("account", OPENED, 1),
    ]
    assert (found.records, found.events, found.duplicates, found.unreadable) == (8, 4, 2, 1)
    assert (found.first_at, found.last_at) == (time_text(5), time_text(40))
    assert found.sources == {"app-1": 2, "app-2": 2}
    assert (found.streams, sorted(found.stream_names)) == (
        3, ["account/b", "account/s", "meter/x"],
    )  # fmt: skip
    assert (found.snapshot_first, found.snapshot_first_names) == (1, ["account/s"])
    assert found.split_units == 0


async def test_a_snapshot_behind_other_events_of_its_stream_is_not_the_first(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    lane = [event("app-1", 1, 1), event("app-1", 2, 2, snapshot=True)]
    send(broker, topic, [lane, [], []])

    found = await behind(topic, conn, {0: 0, 1: 0, 2: 0})

    assert found.snapshot_first == 0


async def test_a_unit_is_found_split_however_far_its_kept_part_is(
    topic: Settings,
    conn: psycopg.Connection[Any],
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NEAR", 2)
    units = [{"unit": f"u-{number}"} for number in range(30)]
    send(broker, topic, [
        [event("app-1", n + 1, n, **unit) for n, unit in enumerate(units)],
        [event("app-1", n + 1, n, **unit) for n, unit in enumerate(units)],
        [event("app-1", 1, 1), event("app-1", 2, 2, unit="alone")],
    ])  # fmt: skip

    found = await behind(topic, conn, {0: 3, 1: 25, 2: 0})

    assert found.split_units == 22
    assert [one.unit for one in found.splits] == sorted(f"u-{n}" for n in range(3, 25))[:20]
    first = found.splits[0]
    assert (first.unit, first.kept_at, first.set_aside_at) == ("u-10", ["1:10"], ["0:10"])


async def test_only_named_streams_are_set_aside_where_some_are_named(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [
        [event("app-1", 1, 1, stream="account/a"), event("app-1", 2, 2, stream="account/b")],
        [event("app-1", 1, 1, stream="account/c", unit="u"),
         event("app-1", 2, 2, stream="account/d", unit="u", snapshot=True)],
        [],
    ])  # fmt: skip

    found = await behind(topic, conn, {0: 0, 1: 0, 2: 0}, ("account/a", "account/c"))

    assert (found.records, found.events, found.streams) == (4, 2, 2)
    assert found.last_at == time_text(1)
    assert found.snapshot_first == 0
    assert [(one.kept_at, one.set_aside_at) for one in found.splits] == [(["1:1"], ["1:0"])]


async def test_what_is_void_already_is_not_set_aside_again(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [
        [event("app-1", seq, seq, unit=f"u-{seq}") for seq in range(1, 7)],
        [event("app-1", seq, seq, unit=f"u-{seq}") for seq in range(1, 7)],
        [],
    ])  # fmt: skip
    void = Void("v-1", "app-1", 1, {0: Span(2, 5)})
    conn.execute(
        "INSERT INTO memferry.void (topic, id, source, void, voided_at, actor, reason) "
        "VALUES (%s, 'v-1', 'app-1', %s, now(), 'Ada', 'test')",
        (topic.topic, Jsonb({"id": void.id, "source": void.source, "generation": 1,
                             "lanes": {"0": [2, 5]}, "streams": []})),
    )  # fmt: skip

    found = await behind(topic, conn, {0: 1, 1: 6, 2: 0})

    assert (found.records, found.events, found.void) == (5, 3, 2)
    assert [one.unit for one in found.splits] == ["u-2", "u-5", "u-6"]


async def test_parked_events_behind_the_position_are_touched_and_streams_before_it_stay(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [[event("app-1", seq, seq) for seq in range(1, 7)], [], []])
    for stream, offset in (("account/a", 1), ("account/a", 4), ("account/b", 5), ("account/c", 0)):
        conn.execute(
            "INSERT INTO memferry.parked (projection, partition, record_offset, source, "
            "generation, seq, stream, type, event, behind, reason, place) "
            "VALUES (%s, 0, %s, 'app-1', 1, 1, %s, 't', '', false, 'wrong', 'here')",
            (topic.projection, offset, stream),
        )

    found = (await behind(topic, conn, {0: 4, 1: 0, 2: 0})).parked
    named = (await behind(topic, conn, {0: 4, 1: 0, 2: 0}, ("account/b",))).parked

    assert (found.events, found.streams, found.stay) == (2, 2, 2)
    assert found.named == ["account/a", "account/b"]
    assert (named.events, named.named, named.stay) == (1, ["account/b"], 0)
