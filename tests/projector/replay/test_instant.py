import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.replay.instant import instant_at, parse_instant
from schemas.position import PositionInvalid

NOW = datetime.datetime(2026, 11, 26, 18, 30, 0, 250_000, datetime.UTC)
DAYS = datetime.datetime(1970, 1, 2), datetime.datetime(9999, 12, 30)  # noqa: DTZ001
TIMES = st.datetimes(*DAYS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-26T18:30:00Z", "2026-11-26T18:30:00.000000000Z"),
        ("2026-11-26t19:30:00.5+01:00", "2026-11-26T18:30:00.500000000Z"),
        ("2026-11-26 00:30:00.123456789-18:30", "2026-11-26T19:00:00.123456789Z"),
        ("  2026-11-26T18:30:00.1z ", "2026-11-26T18:30:00.100000000Z"),
        ("-15m", "2026-11-26T18:15:00.250000000Z"),
        ("-90s", "2026-11-26T18:28:30.250000000Z"),
        ("-2h", "2026-11-26T16:30:00.250000000Z"),
        ("-1d", "2026-11-25T18:30:00.250000000Z"),
    ],
)  # fmt: skip
def test_a_time_is_written_as_envelopes_write_it(text: str, wanted: str) -> None:
    assert parse_instant(text, NOW).text == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-11-26T18:30:00", "has no zone"),
        ("2026-11-26", "is not a time"),
        ("2026-13-26T18:30:00Z", "is not a time"),
        ("2026-11-26T18:30:00+99:00", "is not a time"),
        ("2026-11-26T18:30:00.1234567890Z", "is not a time"),
        ("0001-01-01T00:00:00+01:00", "is not a time"),
        ("-15", "is not a time"),
        ("-999999999d", "is not a time"),
        ("yesterday", "is not a time"),
        ("", "is not a time"),
    ],
)
def test_what_is_no_time_is_refused_with_the_form_that_is_wanted(text: str, says: str) -> None:
    with pytest.raises(PositionInvalid) as refused:
        parse_instant(text, NOW)

    assert says in refused.value.what
    assert "2026-11-26T18:30:00Z" in refused.value.remedy


@given(TIMES, TIMES, st.integers(-14 * 60, 14 * 60), st.integers(0, 999))
def test_texts_are_in_the_order_of_times_whatever_their_zone(
    one: datetime.datetime, other: datetime.datetime, minutes: int, nanoseconds: int
) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))

    def text(at: datetime.datetime, shown_in: datetime.tzinfo) -> str:
        shown = at.replace(tzinfo=datetime.UTC).astimezone(shown_in)
        offset = f"{shown:%z}"
        return (
            f"{shown.year:04}-{shown:%m-%dT%H:%M:%S.%f}{nanoseconds:03}{offset[:3]}:{offset[3:5]}"
        )

    first, second = (parse_instant(text(at, zone), NOW) for at in (one, other))

    assert first == parse_instant(text(one, datetime.UTC), NOW)
    assert (first.text < second.text) == (one < other)
    assert first.ms == int(one.replace(tzinfo=datetime.UTC).timestamp() // 0.001) or (
        abs(first.ms - one.replace(tzinfo=datetime.UTC).timestamp() * 1_000) < 1
    )
    assert parse_instant(str(first), NOW) == first


@given(st.integers(0, 1 << 47))
def test_milliseconds_are_a_time_and_back(ms: int) -> None:
    at = instant_at(ms)

    assert at.ms == ms
    assert parse_instant(at.text, NOW) == at
