"""The relay in its two places: a thread of the shim, and a process beside the app."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

import eventlog
from eventlog.marks import MarkFile
from eventlog.outbox.opening import RelayInUse
from eventlog.receipts import ReceiptTimeout
from eventlog.relay import Relay
from eventlog.relay_service import report_trouble, run_relay
from eventlog.shim import Ferry
from schemas.settings import Postgres, Settings
from tests.eventlog.app import DEADLINE_S, new_rings, opened, rows_of
from tests.eventlog.broker import (
    app_without_relay,
    by_lane,
    events_of,
    make_topics,
    publish,
    records_of,
)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of an app whose relay is a process of its own."""
    made = make_settings(postgres=Postgres())
    return msgspec.structs.replace(made, relay=msgspec.structs.replace(made.relay, mode="process"))


def attached(settings: Settings) -> Ferry:
    ferry = eventlog.attach(settings)
    ferry.register("account", {})
    ferry.register("reading", new_rings())
    return ferry


@pytest.fixture
def ferry(settings: Settings) -> Iterator[Ferry]:
    attached_ferry = attached(settings)
    yield attached_ferry
    attached_ferry.close(DEADLINE_S)


def write_file(settings: Settings, directory: Path) -> Path:
    """Write the settings as an operator would."""
    path = directory / "memferry.toml"
    path.write_text(
        f'source = "{settings.source}"\ntopic = "{settings.topic}"\n'
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\npartitions = 3\n'
        f'[outbox]\npath = "{settings.outbox_path}"\n'
    )
    return path


async def test_a_process_relays_until_it_is_told_to_stop(ferry: Ferry, settings: Settings) -> None:
    receipt = ferry.record(opened("a"))
    receipt.durable(DEADLINE_S)
    with pytest.raises(ReceiptTimeout):
        await receipt.until_replicated(0.05)

    running = asyncio.create_task(run_relay(settings))
    await receipt.until_replicated(DEADLINE_S)
    later = ferry.record(opened("b"))
    await later.until_replicated(DEADLINE_S)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, DEADLINE_S)

    assert await asyncio.to_thread(events_of, settings) == by_lane(rows_of(settings.outbox_path))
    last = ferry.record(opened("c"))
    with pytest.raises(ReceiptTimeout):
        await last.until_replicated(0.05)


def test_after_a_kill_and_a_lost_mark_nothing_is_missing_and_resends_are_the_same_bytes(
    settings: Settings, tmp_path: Path
) -> None:
    make_topics(settings)
    app = app_without_relay(settings)
    count = 16_000
    app.ferry.record_all([opened(str(number)) for number in range(count)])[-1].durable(DEADLINE_S)
    app.close()
    rows = rows_of(app.path)
    publish(settings, [row for row in rows[:400] if row.partition == 1])  # a lane that is ahead
    command = [sys.executable, "-m", "tests.eventlog.relaying", str(write_file(settings, tmp_path))]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    marks = [int(killed.stdout.readline()) for _ in range(2)]

    killed.kill()
    killed.communicate()
    MarkFile(settings.outbox_path).close()
    Path(f"{settings.outbox_path}.mark").unlink()

    assert marks[0] < marks[1] < count
    again = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert again.stdout is not None
    while int(again.stdout.readline()) < count:
        continue
    again.terminate()
    again.communicate()
    assert events_of(settings) == by_lane(rows)
    assert sum(map(len, records_of(settings).values())) > count
    marks_after = MarkFile(settings.outbox_path)
    assert marks_after.read() == count
    marks_after.close()


async def test_a_thread_and_a_process_on_one_outbox_are_refused(settings: Settings) -> None:
    attached(settings).close(DEADLINE_S)
    process = Relay(settings, lambda row: None)
    running = asyncio.create_task(process.run())
    await asyncio.sleep(0)
    thread = msgspec.structs.replace(
        settings, relay=msgspec.structs.replace(settings.relay, mode="thread")
    )

    ferry = await asyncio.to_thread(attached, thread)
    receipt = ferry.record(opened("a"))

    receipt.durable(DEADLINE_S)
    with pytest.raises(RelayInUse, match="another relay serves this outbox"):
        await receipt.until_replicated(DEADLINE_S)
    process.stop()
    await asyncio.wait_for(running, DEADLINE_S)
    await asyncio.to_thread(ferry.close, DEADLINE_S)


def test_an_app_whose_relay_is_away_closes_without_it(settings: Settings) -> None:
    ferry = attached(settings)
    receipt = ferry.record(opened("a"))

    ferry.close(DEADLINE_S)

    receipt.durable(0)
    assert len(rows_of(settings.outbox_path)) == 2
    again = attached(settings)
    again.record(opened("b")).durable(DEADLINE_S)
    again.close(DEADLINE_S)


def test_passing_trouble_is_logged_in_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="memferry.relay"):
        report_trouble(KafkaConnectionError("nobody there"))
        report_trouble(TimeoutError())

    assert "the relay tries again" in caplog.messages[0]
    assert "nobody there" in caplog.messages[0]
    assert caplog.messages[1] == "the relay tries again: TimeoutError"
