"""What Prometheus reads of a projector, made when it asks: nothing is counted for it alone."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from projector.memory import MEBIBYTE
from projector.progress import PartitionProgress, Progress
from schemas.errors import FerryError
from schemas.settings import Settings

_HOST = "127.0.0.1"
_PREFIX = "memferry_projector_"
_STATM = Path("/proc/self/statm")


class MetricsPortTaken(FerryError):
    """Nothing can be served at the port that was asked for."""


class ProjectorCollector(Collector):
    """One projector's numbers, read when they are collected; nothing is counted for it.

    Shape:  every metric has the label `projection`; docs/metrics.md tells each one's meaning.
    """

    def __init__(
        self,
        settings: Settings,
        projection: str,
        progress: Callable[[], Progress],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._limit_bytes = settings.projector.memory_limit_mb * MEBIBYTE
        self._projection = projection
        self._progress = progress
        self._now_ns = now_ns
        self._caught_up_ns: dict[int, int] = {}

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield every metric; called by the thread that answers Prometheus."""
        progress = self._progress()
        yield self._counter("applied_events", "Events applied.", progress.applied)
        yield self._counter(
            "duplicate_events", "Events met again and skipped.", progress.duplicates
        )
        yield self._counter(
            "parked_events", "Events put aside, with those behind them.", progress.parked
        )
        yield self._counter("batches", "Transactions committed.", progress.batches)
        stages = CounterMetricFamily(
            _PREFIX + "stage_seconds",
            "Seconds spent in each step; steps of different threads overlap.",
            labels=("projection", "stage"),
        )
        for stage, seconds in msgspec.structs.asdict(progress.stages).items():
            stages.add_metric((self._projection, stage), seconds)
        yield stages
        # Copied in one step: the event loop may add a partition meanwhile.
        yield from self._partitions(progress.partitions.copy(), set(progress.stopped.copy()))
        yield from self._memory(progress)

    def _partitions(
        self, partitions: dict[int, PartitionProgress], stopped: set[int]
    ) -> Iterator[GaugeMetricFamily]:
        offset = self._of_partition("next_offset", "Kafka offset, the first one not applied.")
        lag = self._of_partition("lag_records", "Records of the log that are not applied.")
        seconds = self._of_partition("lag_seconds", "For how long something is not applied.")
        applied = self._of_partition(
            "last_applied_timestamp_seconds", "When an event was committed last, in Unix time."
        )
        halted = self._of_partition("stopped", "1 where the partition goes no further, else 0.")
        for number in sorted(partitions.keys() | stopped):
            labels = (self._projection, str(number))
            halted.add_metric(labels, number in stopped)
            at = partitions.get(number)
            if at is None:
                continue
            offset.add_metric(labels, at.next_offset)
            if at.lag is not None:
                lag.add_metric(labels, at.lag)
            behind_s = self._lag_seconds(number, at, number in stopped)
            if behind_s is not None:
                seconds.add_metric(labels, behind_s)
            if at.applied_at_ns is not None:
                applied.add_metric(labels, at.applied_at_ns / 1e9)
        return iter((offset, lag, seconds, applied, halted))

    def _lag_seconds(self, partition: int, at: PartitionProgress, stopped: bool) -> float | None:
        """Return about how long the log has held something that is not applied.

        0 where nothing is left; else the time since the newest applied event was recorded, or since
        nothing was seen to be left, whichever is shorter. None where either is not known.
        """
        now_ns = self._now_ns()
        if at.lag == 0 and not stopped:
            self._caught_up_ns[partition] = now_ns
            return 0
        since_ns = max(at.event_at_ns or 0, self._caught_up_ns.get(partition, 0))
        if at.lag is None or not since_ns:
            return None
        return max(0.0, (now_ns - since_ns) / 1e9)

    def _memory(self, progress: Progress) -> Iterator[GaugeMetricFamily]:
        resident = _resident_bytes()
        if resident is not None:
            yield self._gauge("resident_memory_bytes", "Memory of the process.", resident)
        yield self._gauge(
            "memory_limit_bytes", "Limit of what records and rows may take.", self._limit_bytes
        )
        budget = progress.budget
        if budget is not None:
            yield self._gauge(
                "fetch_limit_bytes", "Most that one fetch of a partition holds.", budget.fetch_bytes
            )
            yield self._gauge(
                "batch_limit_bytes", "Most that the events of a batch hold.", budget.batch_bytes
            )

    def _counter(self, name: str, meaning: str, value: float) -> CounterMetricFamily:
        family = CounterMetricFamily(_PREFIX + name, meaning, labels=("projection",))
        family.add_metric((self._projection,), value)
        return family

    def _gauge(self, name: str, meaning: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(_PREFIX + name, meaning, labels=("projection",))
        family.add_metric((self._projection,), value)
        return family

    def _of_partition(self, name: str, meaning: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(_PREFIX + name, meaning, labels=("projection", "partition"))


@contextmanager
def metrics_served(
    settings: Settings, projection: str, progress: Callable[[], Progress]
) -> Iterator[int]:
    """Serve a projector's metrics on loopback meanwhile, from a thread of its own.

    Shape:  the port is `projector.metrics_port`; 0: nothing is served, and 0 is yielded.
    Raises: MetricsPortTaken.
    """
    port = settings.projector.metrics_port
    if not port:
        yield 0
        return
    collector = ProjectorCollector(settings, projection, progress)
    with collector_served(collector, port, "`--metrics-port` or `projector.metrics_port`"):
        yield port


@contextmanager
def collector_served(collector: Collector, port: int, chosen_by: str) -> Iterator[None]:
    """Serve what a collector gives on loopback meanwhile, from a thread of its own.

    `chosen_by` says how the operator chooses the port. Raises: MetricsPortTaken.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=_HOST, registry=registry)
    except (OSError, OverflowError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise MetricsPortTaken(
            f"metrics cannot be served at port {port}: {cause}",
            where=f"{_HOST}:{port}",
            remedy=f"choose another with {chosen_by}; 0 serves none",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _resident_bytes() -> int | None:
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return None  # no Linux
    return pages * os.sysconf("SC_PAGE_SIZE")
