"""A broker that is killed, or stands still, in the middle of the work; a stack of its own."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.errors import KafkaError

import eventlog
from compose.stack import Stack, ephemeral_stack
from eventlog.publisher import Publisher
from schemas.settings import Kafka, Outbox, Settings
from tests.eventlog.app import account, deposited, new_rings, opened, require_whole_lanes, rows_of
from tests.eventlog.broker import app_without_relay, by_lane, events_of, make_topics

DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    with ephemeral_stack() as running:
        yield running


@pytest.fixture
def settings(own_stack: Stack, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Settings on the stack of this file, with a deadline that the test can wait for."""
    endpoints = own_stack.endpoints()
    assert endpoints is not None
    return Settings(
        source="app-1",
        topic=f"gone-{request.node.name[:40]}",
        domain="tests.domains.ledger",
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=3, timeout_ms=1_500),
        outbox=Outbox(path="outbox.db"),
        directory=str(tmp_path),
    )


def kafka_pid(stack: Stack) -> int:
    (pid,) = (part.pid for part in stack.status() if part.name == "kafka")
    assert pid is not None
    return pid


@pytest.mark.parametrize("known", [0, 2], ids=["a lane's first", "a lane that is known"])
async def test_after_an_error_nothing_that_waits_behind_it_is_sent(
    own_stack: Stack, settings: Settings, known: int
) -> None:
    """A batch that was lost must leave no hole: those behind it may not reach the topic."""
    settings = msgspec.structs.replace(settings, topic=f"behind-{known}")
    await asyncio.to_thread(make_topics, settings)
    app = app_without_relay(settings)
    for number in range(10):
        app.ferry.record(deposited("a", 1, number) if number else opened("a"))
    app.close()
    rows = rows_of(app.path)
    pid = kafka_pid(own_stack)
    publisher = await Publisher(settings, 1).__aenter__()
    await asyncio.gather(*await publisher.send(rows[:known]))
    os.kill(pid, signal.SIGSTOP)
    try:
        await publisher.send(rows[known:5])
        behind = asyncio.create_task(publisher.send(rows[5:]))
        await asyncio.wait({behind}, timeout=0.3)
        went_at_once = behind.done()
        leaving = asyncio.create_task(publisher.__aexit__(KafkaError, KafkaError(), None))
        await asyncio.wait({leaving}, timeout=0.3)
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait_for(leaving, DEADLINE_S)
    await asyncio.wait({behind}, timeout=DEADLINE_S)

    found = await asyncio.to_thread(events_of, settings)

    assert went_at_once == (known > 0), "Kafka knows a lane's producer once it has a batch of it"
    sent = [value for lane in found.values() for value in lane]
    assert sent == [row.event for row in rows[: len(sent)]]
    assert len(sent) in ((2, 5, 10) if known else (0, 5))
    assert known or behind.exception() is not None


def test_a_broker_killed_and_restarted_receives_everything_once(
    own_stack: Stack, settings: Settings
) -> None:
    accounts = {str(number): account(str(number)) for number in range(200)}
    ferry = eventlog.attach(settings)
    ferry.register("account", accounts)
    ferry.register("reading", new_rings())
    ferry.snapshot()
    stop = threading.Event()
    recorded: list[eventlog.Receipt] = []

    def record() -> None:
        for number in range(50):
            if stop.is_set():
                return
            unit = [deposited(str(n), 1, number + 1) for n in range(200)]
            recorded.extend(ferry.record_all(unit))
            recorded[-1].durable(DEADLINE_S)

    recording = threading.Thread(target=record)
    recording.start()
    recorded_first = ferry.promises.replicated()
    assert recorded_first.wait(300, DEADLINE_S)

    own_stack.kill_kafka()
    for unit in range(15):
        ferry.record_all([opened(f"away-{unit}-{number}") for number in range(1_000)])
    ferry.record(opened("while it was away")).durable(DEADLINE_S)
    own_stack.restart_kafka()

    recording.join(DEADLINE_S)
    stop.set()
    newest = ferry.record(opened("last"))
    newest.replicated(DEADLINE_S)
    ferry.close(DEADLINE_S)
    rows = rows_of(settings.outbox_path)
    require_whole_lanes(rows)
    assert len(recorded) == 50 * 200
    assert events_of(settings) == by_lane(rows)
