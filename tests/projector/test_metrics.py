"""Metrics as Prometheus reads them: over HTTP, of a projector that runs."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.metrics import MetricsPortTaken, ProjectorCollector, metrics_served
from projector.progress import PartitionProgress, Progress
from projector.runner import Projector
from projector.sql import query
from schemas.errors import FerryError
from schemas.settings import Settings
from tests.projector import scraping
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, projecting
from tests.projector.scraping import Scrape

_S = 1_000_000_000


@pytest.fixture
def metered(topic: Settings) -> Settings:
    """The settings, with a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    projector = msgspec.structs.replace(topic.projector, metrics_port=port)
    return msgspec.structs.replace(topic, projector=projector)


def scraped(settings: Settings) -> Scrape:
    """Return each metric's values by their label beside the projection, as read over HTTP."""
    port = settings.projector.metrics_port
    assert port is not None
    return scraping.scraped(port, settings.projection, "memferry_projector_")


@contextmanager
def served(settings: Settings, projector: Projector) -> Iterator[None]:
    with metrics_served(settings, settings.projection, lambda: projector.progress):
        yield


def next_offsets(conn: psycopg.Connection[Any], settings: Settings) -> dict[str, float]:
    rows = conn.execute(query("checkpoint_read"), (settings.projection,)).fetchall()
    return {str(partition): offset for partition, offset, *_ in rows}


async def test_what_is_read_over_http_is_what_the_database_holds(
    app: App, broker: Broker, metered: Settings, database: psycopg.Connection[Any]
) -> None:
    for partition in range(3):
        app.open(*accounts_in(partition, partition + 1))
    broker.publish(metered, app.rows())
    broker.publish(metered, app.rows()[-1:])

    async with projecting(metered) as projector:
        with served(metered, projector):
            await eventually(lambda: projector.progress.duplicates, "the duplicate")
            await eventually(lambda: projector.progress.applied == 6, "six events")
            found = scraped(metered)

    assert found["applied_events_total"] == {"": 6}
    assert found["duplicate_events_total"] == {"": 1}
    assert found["parked_events_total"] == {"": 0}
    assert found["next_offset"] == next_offsets(database, metered)
    assert sum(found["next_offset"].values()) == 7
    assert (
        found["lag_records"] == found["lag_seconds"] == found["stopped"] == dict.fromkeys("012", 0)
    )
    assert found["batches_total"][""] >= 1
    assert found["stage_seconds_total"].keys() >= {"fetch", "decode", "fold", "copy", "commit"}
    assert found["stage_seconds_total"]["commit"] > 0
    newest = database.execute(
        "SELECT extract(epoch FROM max(updated_at))::float FROM memferry.checkpoint "
        "WHERE projection = %s", (metered.projection,),
    ).fetchone()  # fmt: skip
    assert newest is not None
    assert max(found["last_applied_timestamp_seconds"].values()) == pytest.approx(newest[0], abs=5)
    assert found["memory_limit_bytes"] == {"": 500 * 1024 * 1024}
    assert 0 < found["fetch_limit_bytes"][""] <= metered.projector.fetch_bytes
    assert found["batch_limit_bytes"][""] > 0
    assert found["resident_memory_bytes"][""] > 10_000_000


async def test_a_partition_that_stopped_is_marked_and_the_others_are_not(
    app: App, broker: Broker, metered: Settings
) -> None:
    for partition in range(3):
        app.open(*accounts_in(partition, 3))
    holed = [row for row in app.rows() if (row.partition, row.seq) != (1, 2)]
    broker.publish(metered, holed)

    async with projecting(metered) as projector:
        with served(metered, projector):
            await eventually(lambda: projector.progress.stopped, "the hole met")
            await eventually(lambda: projector.progress.applied == 7, "the rest applied")
            await eventually(lambda: "lag_seconds" in scraped(metered), "the lag's age known")
            found = scraped(metered)

    assert found["stopped"] == {"0": 0, "1": 1, "2": 0}
    assert found["next_offset"]["1"] == 1
    assert found["lag_seconds"]["1"] > 0


@pytest.mark.parametrize(
    ("at", "stopped", "seconds"),
    [
        (PartitionProgress(5, lag=0, event_at_ns=1 * _S), False, 0),
        (PartitionProgress(5, lag=3, event_at_ns=60 * _S), False, 40),
        (PartitionProgress(5, lag=0, event_at_ns=60 * _S), True, 40),
        (PartitionProgress(5, lag=3, event_at_ns=101 * _S), False, 0),  # another machine's clock
        (PartitionProgress(5, lag=None, event_at_ns=60 * _S), False, None),
        (PartitionProgress(5, lag=3), False, None),
    ],
    ids=["caught up", "behind", "stopped", "ahead of us", "no end known", "nothing applied"],
)
def test_a_lag_in_seconds_is_the_age_of_what_is_applied(
    settings: Settings, at: PartitionProgress, stopped: bool, seconds: float | None
) -> None:
    why = {7: FerryError("a hole")} if stopped else {}
    progress = Progress(partitions={7: at}, stopped=why)

    found = collected(ProjectorCollector(settings, "p", lambda: progress, lambda: 100 * _S))

    assert found == ([] if seconds is None else [seconds])


def test_an_event_after_a_silence_does_not_make_the_lag_as_long_as_the_silence(
    settings: Settings,
) -> None:
    at = PartitionProgress(5, lag=0, event_at_ns=1 * _S)
    now = [1_000 * _S]
    collector = ProjectorCollector(
        settings, "p", lambda: Progress(partitions={0: at}), lambda: now[0]
    )

    silent = collected(collector)
    at.lag, now[0] = 1, 1_004 * _S

    assert (silent, collected(collector)) == ([0], [4])


def collected(collector: ProjectorCollector) -> list[float]:
    """Return the lags in seconds."""
    (family,) = (f for f in collector.collect() if f.name.endswith("lag_seconds"))
    return [sample.value for sample in family.samples]


def test_what_is_not_known_is_left_out_rather_than_nought(metered: Settings) -> None:
    progress = Progress(partitions={0: PartitionProgress(7), 1: PartitionProgress(8, lag=2)})
    with metrics_served(metered, metered.projection, lambda: progress):
        found = scraped(metered)

    assert found["next_offset"] == {"0": 7, "1": 8}
    assert found["lag_records"] == {"1": 2}
    assert found.get("lag_seconds", {}) == {}
    assert found.get("last_applied_timestamp_seconds", {}) == {}
    assert "fetch_limit_bytes" not in found


def test_it_is_served_on_loopback_alone_and_ends_with_its_projector(metered: Settings) -> None:
    port = metered.projector.metrics_port
    with metrics_served(metered, "p", Progress):
        listening = listening_at(port)
    again = listening_at(port)

    assert listening == {"0100007F"}  # 127.0.0.1
    assert again == set()


def listening_at(port: int) -> set[str]:
    """Return the addresses that listen at a port, as the kernel writes them."""
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    found = ((*line[1].split(":"), line[3]) for line in lines)
    return {address for address, at, state in found if (int(at, 16), state) == (port, "0A")}


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "no port"])
def test_a_port_that_cannot_be_had_is_named(metered: Settings, taken: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1] if taken else 70_000
        projector = msgspec.structs.replace(metered.projector, metrics_port=port)
        settings = msgspec.structs.replace(metered, projector=projector)

        with (
            pytest.raises(MetricsPortTaken) as refused,
            metrics_served(settings, "p", Progress),
        ):
            pass

    assert refused.value.where == f"127.0.0.1:{port}"
    assert "--metrics-port" in refused.value.remedy


def test_no_port_serves_nothing(settings: Settings) -> None:
    with metrics_served(settings, "p", Progress) as port:
        assert port == 0
