import math
from random import Random

import pytest

from projector.audit.statistics.limits import (
    LEAST,
    Limits,
    limits_of,
    mad_limit,
    quantile,
    upper_limit,
)

RANDOM = Random(1)
PRICES = [RANDOM.gauss(100, 5) for _ in range(2_000)]
SIGNED = [RANDOM.gauss(0, 5) for _ in range(2_000)]
HEAVY = [RANDOM.paretovariate(1.2) for _ in range(2_000)]


def limits(sample: list[float]) -> Limits:
    found = limits_of(sample, len(sample), tests=10)
    assert found is not None
    return found


def test_too_few_values_have_no_limits() -> None:
    assert limits_of(PRICES[: LEAST - 1], LEAST - 1, 1) is None
    assert limits_of(PRICES[:LEAST], LEAST, 1) is not None


def test_positive_values_are_judged_by_their_logarithm_on_both_sides() -> None:
    found = limits(PRICES)

    assert all(price in found for price in PRICES)
    assert 100 * 1000.0 not in found
    assert 100 / 1000.0 not in found
    assert -100.0 not in found
    assert 150.0 in found


def test_signed_values_have_limits_far_from_zero_on_both_sides() -> None:
    found = limits(SIGNED)

    assert all(value in found for value in [*SIGNED, 0.0, 1e-9])
    assert 5_000.0 not in found
    assert -5_000.0 not in found


def test_a_heavy_tail_widens_the_limits() -> None:
    found = limits(HEAVY)

    assert max(HEAVY) in found
    assert max(HEAVY) > 10 * quantile(sorted(HEAVY), 0.99)
    assert found.high > 100 * mad_limit(sorted(HEAVY), len(HEAVY), 10)


def test_median_and_mad_give_a_normal_distribution_its_quantile() -> None:
    assert mad_limit(sorted(PRICES), 2_000, 10) == pytest.approx(100 + 5 * 5, rel=0.06)


def test_values_that_end_at_a_wall_have_the_limit_of_median_and_mad() -> None:
    walled = [number / 200 for number in range(140)] + [0.7] * 60

    assert 1.5 < upper_limit(walled, 200, 1) < 5


def test_some_outliers_among_the_values_do_not_widen_the_limits_much() -> None:
    spoilt = [*PRICES[:1_980], *([1e6] * 20)]

    assert 1e6 not in limits(spoilt)


def test_values_that_are_nearly_all_the_same_have_no_limit() -> None:
    assert limits([100.0] * 500) == Limits(-math.inf, math.inf, 0.0)


def test_limits_are_written_for_people() -> None:
    assert str(Limits(-math.inf, math.inf)) == "any value"
    assert str(Limits(-5.0, 1e9)) == "from -5 up to 1e+09"
    assert str(Limits(-5.0, math.inf, 0.25)) == "from 0.25"


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0)])
def test_a_quantile_is_between_its_neighbours(share: float, expected: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == expected
