from collections.abc import Iterator
from datetime import timedelta
from random import Random

import msgspec
import pytest

from projector.audit.levels.level import Breach
from projector.audit.levels.statistical import StatisticalLevel, drift
from projector.audit.records.record import Record
from schemas.trading import DOMAIN as TRADING
from tests.projector.audit.levels.calibration import calibrate
from tests.projector.audit.levels.measured import SALES, SHOP, Sale, held, level, sales, traded

replace = msgspec.structs.replace


@pytest.fixture
def clean() -> list[Sale]:
    return sales(Random(3), 1_000, "walk", "poisson")


def found(entities: list[Sale]) -> dict[str, Breach]:
    return {breach.rule: breach for breach in level(SHOP, held(entities)).finish().breaches}


def test_clean_data_have_no_findings_and_every_rule_is_named(clean: list[Sale]) -> None:
    result = level(SHOP, held(clean)).finish()

    assert (result.breaches, result.broken, result.looked) == ([], 0, 1_000)
    assert "sale.price.outlier" in result.rules
    assert "sale.at.gap" in result.rules
    assert "sale.content.duplicate" in result.rules


def test_a_value_far_out_of_its_group_is_an_outlier(clean: list[Sale]) -> None:
    clean[10] = replace(clean[10], price=clean[10].price * 1e6)

    breach = found(clean)["sale.price.outlier"]

    assert (breach.count, breach.rows, breach.veto) == (1, ["S-10"], False)
    assert f"{clean[10].price:.10g}" in breach.observed
    assert f"of symbol {clean[10].symbol}" in breach.expected
    assert breach.next == "memferry audit bisect --table sale --key S-10"


def test_a_value_of_a_file_is_to_be_corrected_there(clean: list[Sale]) -> None:
    clean[10] = replace(clean[10], price=clean[10].price * 1e6)
    lines = (
        Record(f"line {number}", SALES, sale.number, sale) for number, sale in enumerate(clean)
    )

    (breach,) = level(SHOP, lines).finish().breaches

    assert "line 10" in breach.next


def test_a_value_is_judged_among_those_of_its_group_only(clean: list[Sale]) -> None:
    dear = [replace(sale, price=sale.price * 1e6) if sale.symbol == "A" else sale for sale in clean]

    assert found(dear) == {}


def test_a_value_twice_the_highest_is_no_outlier(clean: list[Sale]) -> None:
    highest = max(sale.price for sale in clean)
    clean[10] = replace(clean[10], price=highest * 2)

    assert found(clean) == {}


def test_a_group_too_small_is_said_to_be(clean: list[Sale]) -> None:
    few = [replace(sale, symbol=f"{sale.symbol}-{number // 99}") for number, sale in
           enumerate(clean)]  # fmt: skip

    result = level(SHOP, held(few)).finish()

    assert "sale.price: 1,000 values, of groups too small to tell outliers by" in result.skipped


def test_the_same_content_under_two_keys_is_a_duplicate(clean: list[Sale]) -> None:
    copies = [replace(clean[5], number="copy-1"), replace(clean[5], number="copy-2")]

    breach = found([*clean, *copies])["sale.content.duplicate"]

    assert breach.count == 2
    assert all("copy" in row or "S-5" in row for row in breach.rows)


def test_content_that_differs_in_one_field_is_none(clean: list[Sale]) -> None:
    other = replace(clean[5], number="other", at=clean[5].at + timedelta(microseconds=1))

    assert found([*clean, other]) == {}


def test_the_same_entity_seen_twice_is_no_duplicate_by_content(clean: list[Sale]) -> None:
    assert "sale.content.duplicate" not in found([*clean, clean[5]])


def test_a_day_without_records_is_a_gap(clean: list[Sale]) -> None:
    late = [
        sale if number < 500 else replace(sale, at=sale.at + timedelta(days=2))
        for number, sale in enumerate(clean)
    ]

    breach = found(late)["sale.at.gap"]

    assert (breach.count, len(breach.rows)) == (0, 1)
    assert clean[499].at.strftime("%Y-%m-%d %H:%M:%S UTC") in breach.rows[0]


def test_an_hour_without_records_is_none(clean: list[Sale]) -> None:
    late = [
        sale if number < 500 else replace(sale, at=sale.at + timedelta(minutes=20))
        for number, sale in enumerate(clean)
    ]

    assert found(late) == {}


def test_a_storm_of_records_is_a_burst(clean: list[Sale]) -> None:
    storm = [
        replace(clean[500], number=f"X-{n}", count=n, at=clean[500].at + timedelta(milliseconds=n))
        for n in range(2_000)
    ]

    assert "sale.at.burst" in found([*clean, *storm])


def test_events_are_left_to_the_other_levels(clean: list[Sale]) -> None:
    looked = StatisticalLevel(SHOP)
    for sale in clean:
        looked.add(Record("partition 0, offset 1", SALES, sale.number, sale, event=sale))

    assert looked.finish().looked == 0


def test_what_is_no_number_is_left_to_the_semantic_level(clean: list[Sale]) -> None:
    clean[1] = replace(clean[1], price=float("nan"))
    clean[2] = replace(clean[2], price=float("inf"))

    assert found(clean) == {}


def test_source_and_target_that_are_equal_have_no_drift(clean: list[Sale]) -> None:
    distributions, breaches = drift(level(SHOP, held(clean)), level(SHOP, held(clean[::-1])))

    assert [d.field for d in distributions] == ["sale.price", "sale.profit", "sale.fee",
                                                "sale.count"]  # fmt: skip
    assert all((d.ks, d.psi, d.drifted) == (0, 0, False) for d in distributions)
    assert breaches == []


def test_a_field_that_drifted_is_a_finding(clean: list[Sale]) -> None:
    changed = [replace(sale, fee=sale.fee * 1.3) for sale in clean]

    distributions, breaches = drift(level(SHOP, held(clean)), level(SHOP, held(changed)))

    (breach,) = breaches
    assert (breach.rule, breach.count, breach.veto) == ("sale.fee.drift", 0, False)
    assert "of all values" in breach.observed
    assert [d.field for d in distributions if d.drifted] == ["sale.fee"]


def test_rates_and_gaps_are_series_for_plots(clean: list[Sale]) -> None:
    rates, gaps = level(SHOP, held(clean)).series()

    assert sum(rates.values) == 1_000
    assert len(rates.values) == len(rates.at_s) <= 200
    assert (rates.name, gaps.name, gaps.unit) == (
        "sale by at", "longest gap of sale by at", "s"
    )  # fmt: skip


def test_a_window_of_memory_has_not_drifted_from_the_whole_table() -> None:
    whole = list(traded(1, 600))
    window = [r for r in whole if r.kind and r.kind.name != "market_data"]
    bars = [r for r in whole if r.kind and r.kind.name == "market_data"]

    def compared(records: Iterator[Record]) -> set[str]:
        distributions, _ = drift(level(TRADING, iter(whole)), level(TRADING, records))
        return {distribution.field.partition(".")[0] for distribution in distributions}

    assert "market_data" in compared(iter(whole))
    assert "market_data" not in compared(iter([*window, *bars[300:]]))


def test_a_small_calibration_cries_no_wolf_and_finds_what_was_planted() -> None:
    result = calibrate(1, 7, sizes=(150, 1_000), bars=(800,))

    assert result.false_alarms.of == 17
    assert result.false_alarms.called == 0, result.alarms
    assert result.planted["duplicate"].share == 1
    assert result.planted["price x 1000, normal"].share == 1
    assert result.planted["every price half as much again, lognormal"].share == 1
