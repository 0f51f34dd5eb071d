import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from projector import runner
from projector.audit.run import audit
from projector.checkpoint import ProjectionHeld
from projector.control_tables import establish, set_state
from projector.log import LogReplaced, OffsetsGone
from projector.progress import Progress
from projector.runner import Projector, ProjectorInUse
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Projector as Batches
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.apart import awaited, killed, none_left, started
from tests.projector.app import App, tables
from tests.projector.broker import Broker
from tests.projector.projecting import ends, eventually, project, projecting


@pytest.fixture(autouse=True)
def no_projector_left() -> Iterator[None]:
    with none_left():
        yield


def small_batches(settings: Settings, events: int) -> Settings:
    return msgspec.structs.replace(settings, projector=Batches(batch_events=events))


@pytest.fixture
def busy(app: App, broker: Broker, topic: Settings) -> App:
    """An app with some history, all of it in Kafka."""
    chance = random.Random(7)
    for number in range(120):
        app.open(f"acc-{number}", tags={"n": str(number)})
    for _ in range(300):
        app.deposit(chance.choice(list(app.accounts)), chance.randrange(1, 100))
    for number in range(0, 120, 5):
        app.end(f"acc-{number}")
    for number in range(60):
        app.read(f"meter-{number % 4}", number)
    broker.publish(topic, app.rows())
    return app


async def test_the_log_to_its_end_is_what_the_app_holds(
    busy: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    progress = await project(settings)

    assert tables(database, settings.projection) == busy.expected()
    assert progress.applied == 120 + 300 + 24 + 60
    assert (progress.duplicates, progress.lag, progress.stopped) == (0, 0, {})


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_stopped_and_started_at_random_points_the_tables_are_the_same(
    busy: App, settings: Settings, database: psycopg.Connection[Any], seed: int
) -> None:
    chance = random.Random(seed)
    end, applied, runs = await ends(settings), 0, 0
    stoppable: list[Projector] = []

    def stop_behind(batches: int) -> Callable[[Progress], None]:
        return lambda progress: stoppable[-1].stop() if progress.batches >= batches else None

    while applied < 504:
        batches = chance.randrange(1, 4)
        projector = Projector(
            small_batches(settings, chance.randrange(1, 80)),
            DOMAIN,
            until=end,
            on_progress=stop_behind(batches),
        )
        stoppable.append(projector)
        applied += (await projector.run()).applied
        runs += 1

    assert runs > 3
    assert applied == 504
    assert tables(database, settings.projection) == busy.expected()
    assert (await audit(settings, DOMAIN, with_memory=False)).all_equal


async def test_a_run_ends_at_the_offsets_it_was_given(
    busy: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    progress = await project(settings, {0: 10, 1: 0, 2: 25})

    assert progress.applied == 35
    assert (await audit(settings, DOMAIN, with_memory=False)).position == "0:10,1:0,2:25"


async def test_a_log_delivered_any_number_of_times_has_the_effect_of_once(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open("a", "b", "c", "d", "e")
    for name in "abcdeabcde":
        app.deposit(name, 7)
    app.end("e")
    rows = app.rows()
    chance = random.Random(5)
    sent = 0
    while sent < len(rows):  # what a relay does that dies again and again: resend from a mark
        begin = chance.randrange(0, sent + 1)
        sent = min(len(rows), max(sent, begin) + chance.randrange(1, 6))
        broker.publish(topic, rows[begin:sent])
    broker.publish(topic, rows)

    progress = await project(topic)
    again = await project(topic)

    assert tables(database, topic.projection) == app.expected()
    events = [row for row in rows if row.partition != CONTROL_PARTITION]
    assert progress.applied == len(events)
    assert progress.duplicates == sum((await ends(topic)).values()) - len(events)
    assert progress.duplicates > len(events)
    assert again.applied == again.duplicates == 0


async def test_a_resend_while_the_projector_was_away_is_skipped(
    busy: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await project(settings)
    busy.deposit("acc-1", 1)
    broker.publish(settings, busy.rows())

    progress = await project(settings)

    assert (progress.applied, progress.duplicates) == (1, 504)
    assert tables(database, settings.projection) == busy.expected()


async def test_what_is_recorded_while_it_runs_is_applied(
    busy: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    before = len(busy.rows())

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 504, "the history applied")
        busy.open("late")
        broker.publish(settings, busy.rows()[before:])
        await eventually(lambda: projector.progress.applied == 505, "the new event applied")

    assert tables(database, settings.projection) == busy.expected()


async def test_a_source_that_opens_while_it_runs_is_learned(
    busy: App,
    broker: Broker,
    settings: Settings,
    database: psycopg.Connection[Any],
    make_app: Callable[[Settings], App],
) -> None:
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 504, "the history applied")
        other = make_app(
            msgspec.structs.replace(settings, source="app-2", outbox=msgspec.structs.replace(
                settings.outbox, path="second.db"))
        )  # fmt: skip
        other.open("x-1", "x-2", "x-3", "x-4")
        broker.publish(settings, other.rows())
        await eventually(lambda: projector.progress.applied == 508, "the second source applied")

    found = tables(database, settings.projection)
    assert found["accounts"] == busy.expected()["accounts"] | other.expected()["accounts"]
    assert projector.progress.stopped == {}


async def test_a_run_to_a_position_beside_a_projector_is_refused_and_told_who_has_it(
    busy: App, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOCK_WAIT_MS", 200)

    async with projecting(settings) as first:
        await eventually(lambda: first.progress.applied == 504, "the history applied")
        with pytest.raises(ProjectorInUse) as refused:
            await project(settings)

    assert f"process {os.getpid()}" in refused.value.what
    assert repr(settings.projection) in refused.value.what
    assert refused.value.remedy
    assert (await project(settings)).stopped == {}


async def test_a_run_of_fixed_partitions_is_alone(
    busy: App, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOCK_WAIT_MS", 300)
    process = started(small_batches(settings, 5), 2, until=await ends(settings))
    awaited(process)

    with pytest.raises(ProjectorInUse) as refused:
        await project(settings)
    with pytest.raises(ProjectorInUse):
        await Projector(settings, DOMAIN).run()

    assert f"process {process.pid}" in refused.value.what
    killed(process)
    assert (await project(settings)).stopped == {}


async def test_projections_side_by_side_do_not_disturb_each_other(
    busy: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    other = msgspec.structs.replace(settings, projection=f"{settings.projection}_b")

    async with projecting(settings) as one, projecting(other) as two:
        await eventually(
            lambda: one.progress.applied == two.progress.applied == 504, "both applied"
        )

    assert tables(database, settings.projection) == tables(database, other.projection)


async def test_a_held_projection_is_waited_for(
    busy: App, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    set_state(database, establish(database, settings, DOMAIN, 3).name, "held", "a look back")

    async with projecting(settings) as projector:
        await eventually(lambda: listening(database, settings), "the projector waits")
        set_state(database, settings.projection, "live", "")
        database.execute("SELECT pg_notify('memferry_projection', %s)", (settings.projection,))
        await eventually(lambda: projector.progress.applied == 504, "the history applied")

    with pytest.raises(ProjectionHeld):
        set_state(database, settings.projection, "held", "again")
        await project(settings)


def listening(conn: psycopg.Connection[Any], settings: Settings) -> bool:
    waiting = f"memferry projector {settings.projection} waiting"
    found = conn.execute("SELECT FROM pg_stat_activity WHERE application_name = %s", (waiting,))
    return found.fetchone() is not None


async def test_a_topic_recreated_smaller_is_not_gone_on_from(
    busy: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await project(settings)
    before = tables(database, settings.projection)
    broker.drop_topic(settings)
    broker.make_topics(settings, control=False)
    broker.publish(settings, [row for row in busy.rows()[:40] if row.partition >= 0])

    with pytest.raises(OffsetsGone) as gone:
        await project(settings)

    assert "never" not in gone.value.what
    assert "the partition holds 0 to" in gone.value.what
    assert gone.value.where.startswith(f"topic {settings.topic}.1, partition")
    assert tables(database, settings.projection) == before


@pytest.mark.parametrize("more", [0, 3])
async def test_a_topic_recreated_as_large_or_larger_is_not_gone_on_from(
    busy: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any], more: int
) -> None:
    await project(settings)
    before, held = tables(database, settings.projection), await ends(settings)
    broker.drop_topic(settings)
    broker.make_topics(settings, control=False)
    for partition, end in held.items():
        broker.send(settings, partition, [b"%d" % number for number in range(end + more)])

    with pytest.raises(LogReplaced) as replaced:
        await project(settings)

    assert tables(database, settings.projection) == before
    stopped = database.execute(
        "SELECT partition, stopped FROM memferry.checkpoint"
        " WHERE projection = %s AND stopped <> ''",
        (settings.projection,),
    ).fetchall()
    assert stopped == [(replaced.value.partition, str(replaced.value))]
