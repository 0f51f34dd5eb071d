"""When an event counts as seen."""

import pytest

from tests.benchmarks.live import Sightings


def test_an_event_is_seen_at_the_first_answer_that_has_it() -> None:
    sightings = Sightings()

    sightings.note([(0, 3), (1, 1)], 1.0)
    sightings.note([(0, 3), (1, 4)], 2.0)
    sightings.note([(0, 9), (1, 4)], 3.0)

    assert [sightings.visible(0, seq) for seq in (1, 3, 4, 9)] == [1.0, 1.0, 3.0, 3.0]
    assert [sightings.visible(1, seq) for seq in (1, 2, 4)] == [1.0, 2.0, 2.0]
    assert sightings.count == 3


def test_an_event_that_no_answer_had_is_an_error_not_a_figure() -> None:
    sightings = Sightings()

    sightings.note([(0, 3)], 1.0)

    with pytest.raises(LookupError):
        sightings.visible(0, 4)
    with pytest.raises(LookupError):
        sightings.visible(1, 1)
