import sys
from random import Random

import msgspec
import pytest

from projector.audit.levels.statistical import StatisticalLevel
from projector.audit.statistics.forest import ForestMissing, OddRow, odd_rows
from projector.audit.statistics.reservoir import Sample
from tests.projector.audit.levels.measured import SHOP, held, sales


def rows(odd: list[tuple[float, float]]) -> Sample[OddRow]:
    """Points along a line, where each number is within its range."""
    random, sample = Random(1), Sample[OddRow](10_000, "a")
    for number in range(1_000):
        x = random.gauss(0, 1)
        sample.add(OddRow(str(number), "table sale", [x, x + random.gauss(0, 0.05)]))
    for point in odd:
        sample.add(OddRow("odd", "table sale", list(point)))
    return sample


def test_a_row_far_from_all_others_is_isolated() -> None:
    found = odd_rows(rows([(1e4, -1e4)]))

    assert [row.key for row in found] == ["odd"]


def test_rows_like_the_others_are_not() -> None:
    assert odd_rows(rows([(2.0, 1.9)])) == []


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)

    with pytest.raises(ForestMissing) as missing:
        StatisticalLevel(SHOP, isolation_forest=True)

    assert "memferry[statistics]" in missing.value.remedy
    assert StatisticalLevel(SHOP).finish().looked == 0


def test_the_level_reports_isolated_rows_where_it_is_asked_to() -> None:
    made = sales(Random(3), 1_000, "normal", "poisson")
    made[10] = msgspec.structs.replace(made[10], price=1e7, profit=-1e7, fee=1e7, count=-(10**7))
    asked = StatisticalLevel(SHOP, isolation_forest=True)
    for record in held(made):
        asked.add(record)

    found = {breach.rule: breach.rows for breach in asked.finish().breaches}

    assert found["sale.isolated"] == ["S-10"]
