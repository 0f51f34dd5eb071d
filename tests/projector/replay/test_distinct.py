from collections.abc import Iterator

import pytest

from projector.replay.distinct import Distinct


@pytest.fixture
def few() -> Iterator[Distinct]:
    """Keeps 100 names in memory."""
    distinct = Distinct(100)
    yield distinct
    distinct.close()


@pytest.mark.parametrize("names", [0, 1, 100, 101, 20_000])
def test_different_names_are_counted_on_disk_too(few: Distinct, names: int) -> None:
    for number in [*range(names), *range(0, names, 3)]:
        few.add(f"trade/{number}")

    assert few.count() == names


def test_a_name_is_new_once(few: Distinct) -> None:
    assert [few.add(name) for name in ("a", "b", "a")] == [True, True, False]
