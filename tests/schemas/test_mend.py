from schemas.lane import LaneHead
from schemas.mend import Mend, Mends

HEAD = LaneHead(4, "ab" * 32, 1)
MEND = Mend(1, 2, 7, "app-1", (7, 9), 10, HEAD)


def test_a_mend_says_of_records_what_they_count_for() -> None:
    mends = Mends(1, [MEND, Mend(1, 0, 3, ignore=(3,))])

    assert mends.partitions == {0, 2}
    assert [offset for offset in range(12) if mends.ignores(2, offset)] == [7, 9]
    assert mends.ignores(0, 3)
    assert not mends.ignores(0, 7)
    assert mends.continues(2, 10) == ("app-1", HEAD)
    assert mends.continues(2, 7) is None


def test_a_mend_of_another_topic_generation_says_nothing() -> None:
    mends = Mends(2, [MEND])

    assert not mends.partitions
    assert not mends.ignores(2, 7)
    assert mends.continues(2, 10) is None
