from datetime import UTC, datetime, timedelta

import pytest

from projector.schedule import Cron, Every, interval_s, schedule_of
from schemas.errors import SettingsInvalid
from schemas.settings import Audit

QUARTERS = Cron("*/15 * * * *")


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{clock}").replace(tzinfo=UTC)


def test_an_interval_begins_at_once_and_is_counted_from_the_end_of_an_audit() -> None:
    every = Every(600)

    assert every.first(at("12:00:00"), None) == at("12:00:00")
    assert every.first(at("12:00:00"), at("11:59:00")) == at("12:00:00")
    assert every.after(at("12:00:00"), at("12:07:30")) == at("12:17:30")


def test_a_cron_expression_waits_for_its_time() -> None:
    assert QUARTERS.first(at("12:00:01"), None) == at("12:15:00")
    assert QUARTERS.first(at("12:00:00"), None) == at("12:15:00")
    assert QUARTERS.after(at("12:15:00"), at("12:15:08")) == at("12:30:00")


def test_times_that_passed_during_an_audit_are_made_up_with_one() -> None:
    made_up = QUARTERS.after(at("12:15:00"), at("13:02:00"))

    assert made_up == at("13:02:00")
    assert QUARTERS.after(made_up, at("13:03:00")) == at("13:15:00")


@pytest.mark.parametrize(
    ("last", "due"),
    [
        ("11:59:00", "12:07:00"),  # noon passed while nobody was there
        ("08:00:00", "12:07:00"),
        ("12:00:01", "12:15:00"),
        ("12:00:00", "12:15:00"),
    ],
)
def test_a_time_that_passed_while_no_job_ran_is_made_up(last: str, due: str) -> None:
    assert QUARTERS.first(at("12:07:00"), at(last)) == at(due)


def test_times_are_utc_wherever_the_machine_is() -> None:
    daily = Cron("30 2 * * *")
    summer = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # the night in which Europe sets its clocks

    assert [daily.after(summer + timedelta(days=d), summer).hour for d in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "it has 0 fields"),
        ("* * * *", "it has 4 fields"),
        ("0 * * * * *", "it has 6 fields"),
        ("60 * * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("soon * * * *", "bad minute"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression: str, why: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        Cron(expression)

    assert why in refused.value.what


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("600", 600), ("0.5m", 30)],
)
def test_an_interval_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert interval_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "ten minutes", "10 minutes", "5w", "9" * 400])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid):
        interval_s(text)


def test_flags_go_over_settings_and_an_expression_over_an_interval() -> None:
    assert str(schedule_of(Audit())) == "every 600 s"
    assert str(schedule_of(Audit(every_s=60, cron="0 * * * *"))) == "at 0 * * * * UTC"
    assert str(schedule_of(Audit(cron="0 * * * *"), every="90s")) == "every 90 s"
    assert str(schedule_of(Audit(every_s=60), cron="5 * * * *")) == "at 5 * * * * UTC"
    with pytest.raises(SettingsInvalid, match="an interval and a cron expression"):
        schedule_of(Audit(), every="90s", cron="5 * * * *")
