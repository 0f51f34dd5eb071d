from random import Random

import pytest

from projector.audit.statistics.drift import drift_of, ks_of, ks_p_value, psi_of

RANDOM = Random(1)
ONE = [RANDOM.gauss(10, 2) for _ in range(2_000)]
OTHER = [RANDOM.gauss(10, 2) for _ in range(2_000)]


def test_identical_values_have_no_drift_at_all() -> None:
    found = drift_of("trade.fees", ONE, list(reversed(ONE)), fields=1)

    distribution = found.distribution
    assert (distribution.ks, distribution.psi, distribution.drifted) == (0.0, 0.0, False)
    assert found.p_value == 1.0
    assert distribution.source == distribution.target
    assert len(distribution.edges) == len(distribution.source) + 1
    assert sum(distribution.source) == pytest.approx(1)


def test_two_samples_of_one_distribution_have_not_drifted() -> None:
    found = drift_of("trade.fees", ONE, OTHER, fields=1)

    assert 0 < found.distribution.ks < 0.05
    assert not found.distribution.drifted


def test_a_shift_is_found() -> None:
    shifted = [value + 0.4 for value in OTHER]

    found = drift_of("trade.fees", ONE, shifted, fields=10)

    assert found.distribution.drifted
    assert found.p_value < 0.0001


def test_a_small_share_moved_far_away_is_found_by_its_bin() -> None:
    constant = [5.0] * 1_000
    moved = [5.0] * 900 + [9.0] * 100

    found = drift_of("trade.fees", constant, moved, fields=10)

    assert found.distribution.drifted
    assert found.distribution.psi > 0.2


def test_shares_that_move_to_and_fro_are_found_by_their_bins_alone() -> None:
    one = [float(n) for n in range(10) for _ in range(45 if n % 2 else 15)]
    other = [float(n) for n in range(10) for _ in range(15 if n % 2 else 45)]

    found = drift_of("trade.fees", one, other, fields=10)
    small = drift_of("trade.fees", one[::2], other[::2], fields=10)

    assert found.p_value > 0.001
    assert found.distribution.drifted
    assert not small.distribution.drifted


def test_of_few_values_nothing_is_called_drifted() -> None:
    assert not drift_of("trade.fees", [1.0] * 19, [2.0] * 19, fields=1).distribution.drifted
    assert drift_of("trade.fees", [1.0] * 20, [2.0] * 20, fields=1).distribution.drifted


def test_more_fields_ask_for_more_proof() -> None:
    shifted = [value + 0.32 for value in ONE]
    p_value = drift_of("trade.fees", ONE, shifted, fields=1).p_value

    assert 1e-5 < p_value < 1e-3
    assert drift_of("trade.fees", ONE, shifted, fields=1).distribution.drifted
    assert not drift_of("trade.fees", ONE, shifted, fields=1_000).distribution.drifted


def test_ks_is_the_largest_difference_of_shares_below_a_value() -> None:
    assert ks_of([1, 2, 3, 4], [1, 2, 3, 4]) == 0
    assert ks_of([1, 2], [3, 4]) == 1
    assert ks_of([1, 1, 1, 2], [1, 2, 2, 2]) == 0.5


@pytest.mark.parametrize(("ks", "expected"), [(1.36, 0.05), (1.63, 0.01), (1.95, 0.001)])
def test_the_p_value_is_that_of_the_tables_in_textbooks(ks: float, expected: float) -> None:
    size = 20_000
    p_value = ks_p_value(ks / (size / 2) ** 0.5, size, size)

    assert p_value == pytest.approx(expected, rel=0.06)


def test_psi_is_computed_as_it_is_defined() -> None:
    assert psi_of([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.2747, abs=1e-4)
    assert psi_of([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]) == 0.0
