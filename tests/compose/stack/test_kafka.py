from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack.cluster import new_cluster_id
from compose.stack.errors import PartDidNotStart
from compose.stack.kafka import Kafka


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    part = Kafka(tmp_path)
    yield part
    part.stop()


def test_a_damaged_data_directory_shows_the_end_of_the_log(kafka: Kafka) -> None:
    kafka.prepare()
    (kafka.workplace / "data" / "meta.properties").write_text("version=1\nnode.id=7\n")

    with pytest.raises(PartDidNotStart) as caught:
        kafka.ensure()

    assert "kafka did not start: it died while starting" in str(caught.value)
    assert "cluster.id" in str(caught.value)
    assert str(kafka.log) in str(caught.value)
    assert 0 < len(caught.value.tail) <= 20
    assert not kafka.running()


def test_a_format_cut_short_is_done_again(kafka: Kafka) -> None:
    half = kafka.workplace / "data.new"
    half.mkdir(parents=True)
    (half / "meta.properties").write_text("node.id=")

    kafka.prepare()

    assert "cluster.id=" in (kafka.workplace / "data" / "meta.properties").read_text()
    assert not half.exists()


def test_no_cluster_id_looks_like_an_option() -> None:
    ids = {new_cluster_id() for _ in range(1_000)}

    assert len(ids) == 1_000
    assert {len(written) for written in ids} == {22}
    assert not any(written.startswith("-") for written in ids)
