from statistics import mean

import pytest

from projector.audit.statistics.reservoir import Extreme, Extremes, Reservoir, Sample


def filled(size: int, count: int, seed: str = "a") -> Reservoir:
    reservoir = Reservoir(size, seed)
    for number in range(count):
        reservoir.add(float(number))
    return reservoir


def test_of_few_values_it_holds_all() -> None:
    reservoir = filled(100, 100)

    assert list(reservoir.values) == list(range(100))
    assert (reservoir.count, reservoir.share) == (100, 1.0)


def test_of_many_it_holds_a_fair_sample_that_its_seed_decides() -> None:
    one, again, other = filled(1_000, 50_000), filled(1_000, 50_000), filled(1_000, 50_000, "b")

    assert len(one.values) == 1_000
    assert one.share == 0.02
    assert list(one.values) == list(again.values) != list(other.values)
    assert mean(one.values) == pytest.approx(25_000, rel=0.06)
    assert sum(value < 5_000 for value in one.values) == pytest.approx(100, abs=40)


def test_each_value_is_as_likely_as_any_other() -> None:
    taken = [value for seed in range(400) for value in filled(10, 100, str(seed)).values]

    for tenth in range(10):
        among = sum(10 * tenth <= value < 10 * tenth + 10 for value in taken)
        assert among == pytest.approx(400, abs=90)


def test_extremes_are_named_in_order() -> None:
    extremes = Extremes(2)
    for number in [5, 1, 9, 3, 7, -2]:
        extremes.add(float(number), f"k{number}", "line 1")

    assert extremes.highest() == [Extreme(9.0, "k9", "line 1"), Extreme(7.0, "k7", "line 1")]
    assert [one.value for one in extremes.lowest()] == [-2.0, 1.0]
    assert (extremes.floor, extremes.roof) == (1.0, 7.0)


def test_a_sample_of_anything_is_bounded_too() -> None:
    sample: Sample[str] = Sample(3, "a")
    for number in range(10):
        sample.add(str(number))

    assert (len(sample.items), sample.count) == (3, 10)
