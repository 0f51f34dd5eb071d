"""How many brokers a stack's Kafka has, decided once; no broker is started here."""

from pathlib import Path

import pytest

from compose.stack import Stack
from compose.stack.cluster import Cluster, brokers_of, cluster_in, forget, keep
from compose.stack.errors import BrokersFixed


def settings_of(directory: Path, cluster: Cluster) -> list[dict[str, str]]:
    """Return what each broker of a cluster would be started with."""
    brokers = brokers_of(directory, cluster)
    for broker in brokers:
        broker.workplace.mkdir()
        broker.take_ports()
    found = []
    for broker in brokers:
        voters = broker.voters() if broker.voters else ""
        path = broker._write_settings("t", broker.workplace / "data", dict(broker.ports()), voters)
        found.append(dict(line.split("=", 1) for line in path.read_text().splitlines()))
        assert path.stat().st_mode & 0o077 == 0
    return found


def test_a_new_stack_has_one_broker_unless_more_are_asked_for(tmp_path: Path) -> None:
    assert cluster_in(tmp_path).brokers == 1
    assert cluster_in(tmp_path, 3).brokers == 3


def test_the_number_of_brokers_is_for_life(tmp_path: Path) -> None:
    keep(tmp_path, cluster_in(tmp_path, 3))

    with pytest.raises(BrokersFixed, match="has 3 brokers, not 1") as caught:
        cluster_in(tmp_path, 1)

    assert caught.value.where == str(tmp_path)
    assert "memferry stack down --wipe" in caught.value.remedy
    assert cluster_in(tmp_path).brokers == cluster_in(tmp_path, 3).brokers == 3
    forget(tmp_path)
    assert cluster_in(tmp_path, 1).brokers == 1


def test_data_from_before_clusters_were_written_down_is_of_one_broker(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)

    assert cluster_in(tmp_path).brokers == 1
    with pytest.raises(BrokersFixed, match="has 1 broker, not 3"):
        cluster_in(tmp_path, 3)


def test_three_brokers_are_one_cluster_with_ports_of_their_own(tmp_path: Path) -> None:
    found = settings_of(tmp_path, Cluster(3, "an id"))

    assert [settings["node.id"] for settings in found] == ["1", "2", "3"]
    (voters,) = {settings["controller.quorum.voters"] for settings in found}
    assert [voter.split("@")[0] for voter in voters.split(",")] == ["1", "2", "3"]
    places = [place for settings in found for place in settings["listeners"].split(",")]
    assert len(set(places)) == 6
    assert all("//127.0.0.1:" in place for place in places)
    for settings in found:
        assert settings["transaction.state.log.min.isr"] == "2"
        assert settings["offsets.topic.replication.factor"] == "3"


def test_one_broker_keeps_one_copy(tmp_path: Path) -> None:
    (settings,) = settings_of(tmp_path, Cluster(1, "an id"))

    assert settings["transaction.state.log.min.isr"] == "1"
    assert settings["offsets.topic.replication.factor"] == "1"


def test_a_stack_shows_every_broker(tmp_path: Path) -> None:
    keep(tmp_path, Cluster(3, "an id"))

    shown = [part.name for part in Stack(tmp_path).status()]

    assert shown == ["kafka", "kafka-2", "kafka-3", "postgres"]
