import pytest

from projector.replay.target import require_within
from schemas.position import PositionInvalid

BOUNDS = {0: (0, 10), 1: (5, 7), 2: (0, 0)}


@pytest.mark.parametrize("offsets", [{0: 0, 1: 5, 2: 0}, {0: 10, 1: 7, 2: 0}, {0: 4, 1: 6, 2: 0}])
def test_a_position_within_the_topic_is_taken(offsets: dict[int, int]) -> None:
    require_within(offsets, BOUNDS, "log.1")


@pytest.mark.parametrize(
    ("offsets", "said", "nearest"),
    [
        ({0: 11, 1: 5, 2: 0}, "outside partition 0, which holds 0 to 10", "0:10,1:5,2:0"),
        ({0: 0, 1: 4, 2: 0}, "offset 4 is outside partition 1, which holds 5 to 7", "0:0,1:5,2:0"),
        ({0: 0, 1: 5, 2: 1}, "offset 1 is outside partition 2, which holds 0 to 0", "0:0,1:5,2:0"),
        ({0: 99, 1: 0, 2: 9}, "offset 99 is outside partition 0", "0:10,1:5,2:0"),
    ],
)  # fmt: skip
def test_a_position_outside_is_refused_with_the_nearest_one(
    offsets: dict[int, int], said: str, nearest: str
) -> None:
    with pytest.raises(PositionInvalid) as refused:
        require_within(offsets, BOUNDS, "log.1")

    assert said in refused.value.what
    assert refused.value.where == "topic log.1"
    assert refused.value.remedy == f"the nearest position is --to-offset {nearest}"


@pytest.mark.parametrize("offsets", [{0: 1, 1: 5}, {0: 1, 1: 5, 2: 0, 3: 0}, {}])
def test_a_position_that_does_not_name_every_partition_once_is_refused(
    offsets: dict[int, int],
) -> None:
    with pytest.raises(PositionInvalid) as refused:
        require_within(offsets, BOUNDS, "log.1")

    assert "log.1" in refused.value.where
