"""Statistics of fields, and each warning with the entities that it is about."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from eventlog.extraction.selection import KindTimeless, KindUnknown
from schemas.extraction import FieldStatistics
from tests.domains.ledger import Reading
from tests.eventlog.extraction.holding import (
    NOW,
    account,
    accounts,
    judged,
    readings,
    signal,
    signals,
    strategies,
    strategy,
    warned,
)


def test_each_field_is_counted_with_its_least_most_and_mean() -> None:
    held = accounts(
        account("a", "0.1", hours=1),
        account("b", "0.3", hours=3),
        msgspec.structs.replace(account("c", "0.2", hours=2), tags={"x": "y"}),
    )

    found = judged(held)

    assert (found.kind, found.entities, found.selected, found.time_field) == (
        "account", 3, 3, "opened_at"
    )  # fmt: skip
    assert found.fields == [
        FieldStatistics("account", 3, 0, 3, True),
        FieldStatistics("owner", 3, 0, 3, True),
        FieldStatistics("balance", 3, 0, 3, True, "0.1", "0.3", "0.2"),
        FieldStatistics(
            "opened_at", 3, 0, 3, True,
            "2026-01-02T09:00:00Z", "2026-01-02T11:00:00Z", "2026-01-02T10:00:00Z",
        ),
        FieldStatistics("tags", 3, 2, 1, True),
    ]  # fmt: skip
    assert found.warnings == []


def test_many_different_values_are_estimated_within_some_percent() -> None:
    held = readings(Reading("m", number, Decimal(number % 7)) for number in range(20_000))

    _, number, value = judged(held).fields

    assert (value.distinct, value.exact) == (7, True)
    assert not number.exact
    assert 17_000 < number.distinct < 23_000


def test_a_field_that_must_be_there_and_is_empty_is_missing() -> None:
    held = accounts(account("a"), msgspec.structs.replace(account("b", 1), owner=""))

    found = warned(judged(held))

    assert found == {("missing", "owner"): (1, ["b"])}


def test_a_field_that_may_be_empty_is_counted_and_not_warned_of() -> None:
    found = judged(signals(signal("x", 1, by=None), signal("x", 2, by=None)))

    assert warned(found) == {}
    assert [field.missing for field in found.fields if field.field == "strategy_id"] == [2]


def test_an_entity_that_the_log_would_refuse_is_named_beforehand() -> None:
    found = judged(accounts(account("a"), account("bad", "NaN")))

    assert warned(found) == {("refused", ""): (1, ["bad"])}
    assert "NaN, which is not a number" in found.warnings[0].detail


def test_an_entity_of_which_no_event_can_be_made_is_refused_and_counted() -> None:
    broken = strategy("broken")
    broken.weight = {object()}  # type: ignore[assignment]

    found = judged(strategies(strategy("good"), broken), sample=9)

    assert warned(found) == {("refused", ""): (1, ["broken"])}
    assert (found.entities, found.selected, len(found.sample)) == (2, 2, 1)


def test_a_number_outside_its_declared_bounds_is_out_of_range() -> None:
    found = judged(strategies(strategy("a", weight=100), strategy("b", weight=101)))

    assert warned(found) == {
        ("refused", ""): (1, ["b"]), ("out_of_range", "weight"): (1, ["b: 101"])
    }  # fmt: skip


def test_a_number_far_from_nearly_all_others_is_out_of_range() -> None:
    usual = [account(str(number), 100 + number % 10, hours=number % 5) for number in range(200)]

    found = warned(judged(accounts(*usual, account("x", 1_000_000), account("y", -5_000))))

    assert found["out_of_range", "balance"] == (2, ["x: 1000000", "y: -5000"])


def test_a_key_that_is_far_from_others_is_a_key_all_the_same() -> None:
    usual = [Reading("m", number, Decimal(number % 13)) for number in range(100)]

    found = judged(readings([*usual, Reading("m", 10**12, Decimal(1))]))

    assert ("out_of_range", "number") not in warned(found)


def test_few_numbers_say_nothing_of_each_other() -> None:
    held = accounts(*(account(str(n), n) for n in range(9)), account("x", 10**9))

    assert warned(judged(held)) == {}


def test_the_same_content_under_two_keys_is_a_duplicate() -> None:
    held = accounts(
        account("a", 1, owner="ann"), account("b", 1, owner="ann"), account("c", 2, owner="ann")
    )

    assert warned(judged(held)) == {("duplicate", ""): (1, ["a = b"])}


def test_a_reference_to_an_entity_that_is_not_held_is_orphaned() -> None:
    held = signals(signal("x", 1, by="s-1"), signal("x", 2, by="gone"), signal("x", 3, by=None))

    found = warned(judged(held, strategies(strategy("s-1"))))

    assert found == {("orphaned", "strategy_id"): (1, ["x/2: gone"])}


def test_what_refers_to_a_kind_that_nobody_holds_is_not_judged() -> None:
    assert warned(judged(signals(signal("x", 1, by="gone")))) == {}


def test_an_entity_far_behind_the_others_is_stale() -> None:
    usual = [account(str(number), number % 9, hours=number / 60) for number in range(60)]

    found = warned(judged(accounts(*usual, account("old", hours=24 * 30))))

    assert found == {("stale", "opened_at"): (1, ["old"])}


def test_where_even_the_newest_is_behind_now_all_are_stale() -> None:
    held = accounts(account("a", hours=50), account("b", hours=49))

    patient = judged(held, stale_after_s=3_600.0 * 72)
    found = judged(held)

    assert warned(patient) == {}
    assert warned(found) == {("stale", "opened_at"): (1, ["2025-12-31T11:00:00Z"])}
    assert found.warnings[0].detail == "the newest is 2 days behind now"


def test_a_feed_that_stopped_is_stale_beside_the_others() -> None:
    held = signals(
        *(signal("live", n, minutes=60 - n) for n in range(60)),
        *(signal("dead", n, minutes=3_000 - n) for n in range(60)),
    )

    assert warned(judged(held)) == {("stale", "at"): (1, ["signal/dead"])}


def test_times_that_fall_within_a_stream_are_unordered() -> None:
    held = signals(
        signal("x", 1, minutes=9), signal("x", 2, minutes=5), signal("x", 3, minutes=7),
        signal("y", 1, minutes=99),
    )  # fmt: skip

    assert warned(judged(held)) == {("unordered", "at"): (1, ["x/3"])}


def test_entities_are_selected_by_key_and_by_time() -> None:
    held = accounts(*(account(name, hours=n) for n, name in enumerate(("a-1", "a-2", "b-1"))))

    by_key = judged(held, keys=("a-*",), sample=9)
    since = NOW - timedelta(hours=1)
    by_time = judged(held, since=since, until=NOW, sample=9)

    def names(sample: list[msgspec.Raw]) -> list[str]:
        return [msgspec.json.decode(entity)["account"] for entity in sample]

    assert (by_key.entities, by_key.selected, names(by_key.sample)) == (3, 2, ["a-1", "a-2"])
    assert (by_time.entities, by_time.selected, names(by_time.sample)) == (3, 1, ["a-2"])


def test_a_sample_is_of_the_size_that_was_asked_for() -> None:
    held = accounts(*(account(str(number), number) for number in range(100)))

    sample = judged(held, sample=3).sample

    assert len({bytes(entity) for entity in sample}) == 3


def test_a_kind_that_is_not_held_is_refused_by_name() -> None:
    with pytest.raises(KindUnknown, match="nothing is held of a kind 'trade'") as refused:
        judged(accounts(account("a")), kinds=("trade",))

    assert "account" in refused.value.remedy


def test_a_kind_without_a_time_cannot_be_selected_by_time() -> None:
    with pytest.raises(KindTimeless, match="'reading' has no time"):
        judged(readings([]), since=NOW)
