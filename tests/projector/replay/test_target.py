import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projector.control_tables import establish
from projector.replay.target import (
    EventUnknown,
    Resolved,
    SavepointForeign,
    SavepointUnknown,
    Target,
    TargetUnclear,
    resolve,
)
from schemas.position import PositionInvalid
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.broker import Broker
from tests.projector.replay.by_hand import BEGAN_MS, Event, event, id_at, log_of, send, time_text

HOUR_MS = 3_600_000


@pytest.fixture
def conn(topic: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A projection of the topic."""
    with psycopg.connect(topic.postgres.dsn, autocommit=True) as conn:
        establish(conn, topic, DOMAIN, topic.kafka.partitions)
        yield conn


async def resolved(settings: Settings, conn: psycopg.Connection[Any], **target: Any) -> Resolved:
    async with log_of(settings) as log:
        return await resolve(settings, conn, log, settings.projection, Target(**target))


@pytest.mark.parametrize(
    "given", [{}, {"end": True, "time": "-1m"}, {"offset": "0:1", "event": "x"}]
)
def test_a_target_is_exactly_one(given: dict[str, Any]) -> None:
    with pytest.raises(TargetUnclear) as refused:
        Target(**given)

    assert "exactly one target" in refused.value.what


async def test_offsets_are_taken_within_the_log_and_refused_outside_with_the_nearest(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [[event("app-1", seq, seq) for seq in range(1, 5)], [], []])
    broker.cut(topic, 0, 2)

    there = await resolved(topic, conn, offset="0:3,1:0,2:0")
    end = await resolved(topic, conn, end=True)
    refusals = []
    for offset in ("0:5,1:0,2:9", "0:1,1:0,2:0", "0:3,1:0", "0:3,1:0,2:0,3:0", "3"):
        with pytest.raises(PositionInvalid) as refused:
            await resolved(topic, conn, offset=offset)
        refusals.append(refused.value)

    assert (there.position, there.said) == ({0: 3, 1: 0, 2: 0}, "offsets 0:3,1:0,2:0")
    assert end.position == {0: 4, 1: 0, 2: 0}
    assert "offset 5 is outside partition 0, which holds 2 to 4" in refusals[0].what
    assert refusals[0].remedy == "the nearest position is --to-offset 0:4,1:0,2:0"
    assert "offset 1 is outside partition 0, which holds 2 to 4" in refusals[1].what
    assert refusals[1].remedy == "the nearest position is --to-offset 0:2,1:0,2:0"
    assert "partitions [2] are not named" in refusals[2].what
    assert "partition 3 does not exist" in refusals[3].what


async def test_a_savepoint_is_its_position_if_it_is_of_this_generation(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [[event("app-1", 1, 1)], [], []])
    with pytest.raises(SavepointUnknown) as none:
        await resolved(topic, conn, savepoint="early")
    for name, generation in (("early", 1), ("foreign", 2)):
        conn.execute(
            "INSERT INTO memferry.savepoint VALUES (%s, %s, %s, %s, now(), 'Ada')",
            (topic.projection, name, generation, '{"0": 1, "1": 0, "2": 0}'),
        )

    there = await resolved(topic, conn, savepoint="early")
    with pytest.raises(SavepointUnknown) as unknown:
        await resolved(topic, conn, savepoint="late")
    with pytest.raises(SavepointForeign) as foreign:
        await resolved(topic, conn, savepoint="foreign")

    assert (there.position, there.said) == ({0: 1, 1: 0, 2: 0}, "savepoint early")
    assert "none was taken yet" in none.value.remedy
    assert unknown.value.remedy == "savepoints: early, foreign"
    assert "generation 2" in foreign.value.what


def history(seed: int) -> list[list[Event]]:
    """Two sources' lanes, mixed: units across partitions, a late relay, resent records."""
    chance = random.Random(seed)
    seqs = {(source, p): 0 for source in ("app-1", "app-2") for p in range(3)}
    written: dict[str, list[list[Event]]] = {s: [[], [], []] for s in ("app-1", "app-2")}
    at = dict.fromkeys(written, 0)
    for number in range(120):
        source = chance.choice(list(written))
        at[source] += chance.choice((0, 1, 5, 40))
        places = [chance.randrange(3) for _ in range(chance.choice((1, 1, 1, 3, 4)))]
        unit = f"unit-{number}" if len(places) > 1 else None
        for partition in places:
            seqs[source, partition] += 1
            written[source][partition].append(
                event(source, seqs[source, partition], at[source], unit=unit)
            )
    lanes: list[list[Event]] = []
    for partition in range(3):
        first, second = (list(written[s][partition]) for s in written)
        mixed = []
        while first or second:  # the second source's relay comes and goes
            queue = first if not second or (first and chance.random() < 0.7) else second
            count = chance.randrange(1, 8)
            mixed += queue[:count]
            del queue[:count]
            if chance.random() < 0.2:  # and each sends again what it does not know to be there
                again = [one for one in mixed[-6:] if one.source == mixed[-1].source]
                mixed += again
        lanes.append(mixed)
    return lanes


def firsts(lane: list[Event]) -> list[int]:
    """Return where the first occurrences are."""
    where: dict[str, int] = {}
    for n, one in enumerate(lane):
        where.setdefault(one.id, n)
    return list(where.values())


def cut_by_time(lane: list[Event], wanted: int, *, behind: bool = False) -> int:
    places = (
        n
        for n in range(len(lane))
        if lane[n].at_ms > wanted or (lane[n].at_ms == wanted and not behind)
    )
    return next(places, len(lane))


def cut_by_event(lanes: list[list[Event]], one: Event, *, before: bool) -> dict[int, int]:
    """Say by looking at everything where an event cuts the log."""
    cuts = {}
    for partition, lane in enumerate(lanes):
        where = firsts(lane)
        outside = [
            Event("", 0, -1) if x.unit is not None and x.unit == one.unit else x for x in lane
        ]
        cut = next(
            (
                n for n in where
                if outside[n].at_ms > one.at_ms or (before and outside[n].at_ms == one.at_ms)
            ),
            len(lane),
        )  # fmt: skip
        if one in lane:
            cut = lane.index(one) + (not before)
        unit = [n for n in where if one.unit is not None and lane[n].unit == one.unit]
        if unit:
            cut = min(cut, unit[0]) if before else max(cut, unit[-1] + 1)
        cuts[partition] = cut
    return cuts


def splits(lanes: list[list[Event]], cuts: dict[int, int]) -> dict[str, tuple[int, int]]:
    sides: dict[str, list[int]] = {}
    for partition, lane in enumerate(lanes):
        for n in firsts(lane):
            if (unit := lane[n].unit) is not None:
                sides.setdefault(unit, [0, 0])[n >= cuts[partition]] += 1
    return {unit: (kept, aside) for unit, (kept, aside) in sides.items() if kept and aside}


@pytest.mark.parametrize("seed", range(2))
async def test_times_and_events_are_found_whatever_the_relays_did(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker, seed: int
) -> None:
    lanes = history(seed)
    send(broker, topic, lanes)  # all of it hours after it was recorded
    chance = random.Random(seed)
    events = [lane[n] for lane in lanes for n in firsts(lane)]
    async with log_of(topic) as log:
        for _ in range(3):
            one = chance.choice(events)
            targets = {
                "time": Target(time=time_text(one.at_ms)),
                "event": Target(event=one.id),
                "before": Target(before_event=one.id),
            }
            found = {
                name: await resolve(topic, conn, log, topic.projection, target)
                for name, target in targets.items()
            }

            assert found["time"].position == {
                p: cut_by_time(lane, one.at_ms) for p, lane in enumerate(lanes)
            }
            assert found["event"].position == cut_by_event(lanes, one, before=False), one
            assert found["before"].position == cut_by_event(lanes, one, before=True), one
            for at in found.values():
                split = {unit.unit: (unit.kept, unit.set_aside) for unit in at.split_units}
                assert split == splits(lanes, at.position)
            assert one.unit not in splits(lanes, found["event"].position)
            assert one.unit not in splits(lanes, found["before"].position)


async def test_a_split_unit_is_named_with_its_places(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    unit = {"unit": "u-1"}
    send(broker, topic, [
        [event("app-1", 1, 1), event("app-1", 2, 2, **unit)],
        [event("app-1", 1, 2, **unit), event("app-1", 2, 2, **unit)],
        [event("app-1", 1, 2, **unit)],
    ])  # fmt: skip

    cut = await resolved(topic, conn, offset="0:1,1:1,2:1")
    whole = await resolved(topic, conn, offset="0:1,1:0,2:0")

    (split,) = cut.split_units
    assert (split.unit, split.kept, split.set_aside) == ("u-1", 2, 2)
    assert (split.kept_at, split.set_aside_at) == (["1:0", "2:0"], ["0:1", "1:1"])
    assert whole.split_units == []


async def test_where_kafkas_stamps_are_earlier_than_the_events_the_search_begins_further_back(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    lane = [event("app-1", seq, seq) for seq in range(1, 40)]
    # The app's clock is an hour ahead of the relay's: by its stamp the event was sent long before.
    send(broker, topic, [lane, [], []], BEGAN_MS - HOUR_MS)
    send(broker, topic, [[], lane, []], BEGAN_MS - HOUR_MS)

    time = await resolved(topic, conn, time=time_text(7))
    behind = await resolved(topic, conn, event=lane[6].id)

    assert time.position == {0: 6, 1: 6, 2: 0}
    assert behind.position == {0: 7, 1: 7, 2: 0}


async def test_an_event_that_is_nowhere_is_refused_with_where_was_looked(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    lost = id_at(BEGAN_MS + 2)
    send(broker, topic, [[event("app-1", 1, 1), event("app-1", 2, 2)], [], []])
    broker.send(topic, 1, [b"no event", None, event("app-1", 1, 3).value()])

    with pytest.raises(EventUnknown) as unknown:
        await resolved(topic, conn, event=lost)
    with pytest.raises(EventUnknown) as no_id:
        await resolved(topic, conn, before_event="T-17")

    assert f"no event {lost} is in the log" in unknown.value.what
    assert "recorded at 2026-11-26T10:00:00.002Z" in unknown.value.what
    assert "looked at from 0:0,1:0,2:0 to 0:2,1:3,2:0" in unknown.value.where
    assert "--to-time 2026-11-26T10:00:00.002Z" in unknown.value.remedy
    assert "'T-17' is not an event's id" in no_id.value.what


async def test_times_that_the_log_cannot_say_anything_of_are_refused(
    topic: Settings, conn: psycopg.Connection[Any], broker: Broker
) -> None:
    send(broker, topic, [[event("app-1", seq, seq * 10) for seq in range(1, 5)], [], []])
    broker.cut(topic, 0, 2)

    late = await resolved(topic, conn, time=time_text(HOUR_MS))
    kept = await resolved(topic, conn, time=time_text(31))
    with pytest.raises(PositionInvalid) as gone:
        await resolved(topic, conn, time=time_text(25))
    with pytest.raises(PositionInvalid) as future:
        await resolved(topic, conn, time="2199-01-01T00:00:00Z")

    assert late.position == {0: 4, 1: 0, 2: 0}
    assert kept.position == {0: 3, 1: 0, 2: 0}
    assert "no longer holds what was recorded before 2026-11-26T10:00:00.025Z" in gone.value.what
    assert gone.value.remedy == "the nearest position is --to-offset 0:2,1:0,2:0"
    assert "yet to come" in future.value.what
    assert "--to-end" in future.value.remedy
