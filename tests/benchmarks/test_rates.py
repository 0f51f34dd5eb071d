"""How counts and times become rates."""

import pytest

from tests.benchmarks.catch_up import rate_of
from tests.benchmarks.long import stretches
from tests.benchmarks.peers.debezium import better
from tests.benchmarks.projector_process import Figures, Mark


def test_what_the_first_commit_took_and_brought_is_not_in_the_rate() -> None:
    figures = Figures(
        events=1_100, duplicates=0, batches=2, seconds=3.0, first_s=1.0, first_events=100,
        cpu_s=1.0, rss_mb=1.0, stages={},
    )  # fmt: skip

    assert rate_of(figures) == pytest.approx(500)


def test_a_single_commit_counts_with_its_start() -> None:
    figures = Figures(
        events=100, duplicates=0, batches=1, seconds=2.0, first_s=2.0, first_events=100, cpu_s=1.0,
        rss_mb=1.0, stages={},
    )  # fmt: skip

    assert rate_of(figures) == pytest.approx(50)


def test_each_stretch_has_its_own_rate_and_the_memory_at_its_end() -> None:
    found = stretches([Mark(1_000, 2.0, 80.0), Mark(2_500, 3.0, 90.0)])

    assert [(s.until, s.events_per_s, s.rss_mb) for s in found] == [
        (1_000, 500.0, 80.0),
        (2_500, 1_500.0, 90.0),
    ]


def test_a_peer_that_warms_up_is_given_its_second_half() -> None:
    ran = better([(0.0, 100), (9.0, 500), (10.0, 1_000)], 1_000, 800.0)

    assert (ran.records, ran.seconds, ran.rss_mb) == (500, 1.0, 800.0)


def test_a_peer_that_slows_down_is_given_its_whole_run() -> None:
    ran = better([(0.0, 100), (1.0, 500), (10.0, 1_000)], 1_000, 800.0)

    assert (ran.records, ran.seconds) == (900, 10.0)
