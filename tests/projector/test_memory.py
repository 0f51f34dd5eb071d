"""The memory budget: what it divides, what it refuses, and what a projector takes under it."""

import random
import string
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest

from projector.memory import (
    BATCH_COST,
    BATCHES,
    FETCHED_COST,
    MEBIBYTE,
    Budget,
)
from schemas.errors import SettingsInvalid
from schemas.settings import Kafka, Settings
from schemas.settings import Projector as Limits
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker

_DEADLINE_S = 60


class Record(NamedTuple):
    value: bytes


def budget(partitions: int, event_bytes: int = 1_000_000, **limits: int) -> Budget:
    settings = Settings(
        kafka=Kafka(max_event_bytes=event_bytes), projector=msgspec.convert(limits, Limits)
    )
    return Budget(settings, partitions)


@pytest.mark.parametrize("partitions", [1, 4, 16, 64, 100])
@pytest.mark.parametrize("workers", [1, 3, 20])
def test_what_is_divided_is_no_more_than_the_limit_and_each_share_holds_an_event(
    partitions: int, workers: int
) -> None:
    found = budget(partitions, 500_000, max_concurrency=workers)

    running = min(workers, partitions)  # more have nothing to do
    fetched = FETCHED_COST * partitions * found.fetch_bytes
    batches = BATCH_COST * BATCHES * running * found.batch_bytes
    assert 499 * MEBIBYTE < fetched + batches <= 500 * MEBIBYTE
    assert 500_000 <= found.fetch_bytes <= Limits().fetch_bytes
    assert found.batch_bytes >= 500_000


def test_a_fetch_is_never_larger_than_its_own_setting() -> None:
    assert budget(2, 100, fetch_bytes=10_000).fetch_bytes == 10_000


def test_a_limit_that_cannot_hold_one_event_of_each_partition_is_refused_with_what_it_needs() -> (
    None
):
    with pytest.raises(SettingsInvalid) as refused:
        budget(200, max_concurrency=2)
    needed = int(refused.value.what.partition(" need ")[2].split()[0])

    assert "500 MB are too little: 200 partitions and 2 workers" in refused.value.what
    budget(200, max_concurrency=2, memory_limit_mb=needed)
    with pytest.raises(SettingsInvalid):
        budget(200, max_concurrency=2, memory_limit_mb=needed - 1)


def test_large_events_in_many_partitions_stay_within_the_limit(
    make_settings: Callable[..., Settings], make_app: Callable[[Settings], App], broker: Broker
) -> None:
    limit_mb, partitions, events, size = 16, 8, 15, 100_000
    before = make_settings()
    settings = msgspec.structs.replace(
        before,
        kafka=msgspec.structs.replace(
            before.kafka, partitions=partitions, max_event_bytes=2 * size
        ),
        projector=Limits(memory_limit_mb=limit_mb),
    )
    broker.make_topics(settings)
    app = make_app(settings)
    owner = "".join(random.Random(5).choices(string.ascii_letters, k=size))
    for partition in range(partitions):
        app.open(*accounts_in(partition, events, partitions), owner=owner)
    broker.publish(settings, app.rows())

    done = subprocess.run(
        [sys.executable, "-m", "tests.projector.measured", msgspec.json.encode(settings).decode()],
        capture_output=True, text=True, timeout=_DEADLINE_S, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    applied, taken = map(int, done.stdout.split())
    assert applied == partitions * (events - 1)  # without those that were applied to warm up
    assert taken <= limit_mb * MEBIBYTE
