"""The brokers of one Kafka cluster: how many, under which id, and where their controllers are."""

import signal
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import msgspec

from compose.stack import state
from compose.stack.errors import BrokersFixed
from compose.stack.kafka import Kafka
from compose.stack.ports import HOST


class Cluster(msgspec.Struct, frozen=True):
    """What all brokers of a cluster must agree on; made once with their data."""

    brokers: int
    id: str

    @property
    def settings(self) -> Mapping[str, str]:
        """What a cluster of several is told beside a broker's own settings."""
        if self.brokers == 1:
            return {}
        copies, in_sync = str(min(3, self.brokers)), str(min(2, self.brokers))
        return {
            "default.replication.factor": copies,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            # A leader that was killed is replaced as soon as its session ends.
            "controller.quorum.election.timeout.ms": "500",
            "controller.quorum.fetch.timeout.ms": "1000",
        }


def new_cluster_id() -> str:
    """A random id as Kafka writes them.

    None starts with a dash (one in 64 would): Kafka's tool takes that for an option.
    """
    while (written := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return written


def cluster_in(directory: Path, brokers: int | None = None) -> Cluster:
    """The cluster whose data is in this directory, else a new one of so many brokers.

    Raises: BrokersFixed where there is one of another size: a broker that was not there when
            Kafka's own log of decisions began could outvote the one that holds it.
    """
    found = state.load(_file(directory), Cluster)
    if found is None and (directory / Kafka.name / "data").exists():
        found = Cluster(1, new_cluster_id())  # made before clusters were written down
    if found is None:
        return Cluster(brokers or 1, new_cluster_id())
    if brokers not in (None, found.brokers):
        raise BrokersFixed(directory, found.brokers, brokers)
    return found


def keep(directory: Path, cluster: Cluster) -> None:
    """The cluster is written down; its brokers may be formatted."""
    state.save(_file(directory), cluster)


def forget(directory: Path) -> None:
    """The directory may be given another cluster; the brokers' data is gone."""
    _file(directory).unlink(missing_ok=True)


def brokers_of(directory: Path, cluster: Cluster) -> list[Kafka]:
    """Every broker of a cluster; each knows where the others' controllers listen."""
    alone = cluster.brokers == 1
    brokers = [
        Kafka(
            directory,
            node=node,
            cluster_id=cluster.id,
            settings=cluster.settings,
            heap_mb=512 if alone else 256,
        )
        for node in range(1, cluster.brokers + 1)
    ]
    for broker in brokers:
        if not alone:
            # A broker that ends hands its partitions over; the last ones have nobody to ask.
            broker.stop_signals = ((signal.SIGTERM, 5.0),)
        broker.voters = lambda: ",".join(
            f"{one.node}@{HOST}:{one.ports()['controller']}" for one in brokers
        )
    return brokers


def _file(directory: Path) -> Path:
    return directory / "cluster.json"
