import datetime

import pytest

from compose.plots.axis import label, steps, times

START = datetime.datetime(2026, 3, 5, 14, 30, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize("highest", [0.0, 1e-12, 0.3, 1.0, 7.0, 99.0, 100.0, 101.0, 3.2e9])
def test_steps_are_few_and_even_and_reach_the_highest_value(highest: float) -> None:
    found = steps(highest)

    assert found[0] == 0
    assert found[-1] >= highest
    assert 2 <= len(found) <= 6
    assert found == pytest.approx([found[1] * number for number in range(len(found))])


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (4, ["14:30:00", "14:30:01", "14:30:02", "14:30:03", "14:30:04"]),
        (3600, ["14:30", "15:00", "15:30"]),
        (86_400, ["18:00", "00:00", "06:00", "12:00"]),
        (6 * 86_400, ["06 Mar", "08 Mar", "10 Mar"]),
    ],
)
def test_times_are_round_in_utc_and_as_fine_as_there_is_room(
    seconds: float, labels: list[str]
) -> None:
    assert [text for _, text in times(START, START + seconds)] == labels


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1e5, 1e7, 1e9])
def test_times_lie_within_the_plot_and_are_few(seconds: float) -> None:
    found = times(START, START + seconds)

    assert len(found) <= 8
    assert all(START <= at <= START + seconds for at, _ in found)


def test_labels_are_short() -> None:
    assert [label(value) for value in (0, 0.25, 9.5, 10, 12_500)] == [
        "0", "0.25", "9.5", "10", "12,500",
    ]  # fmt: skip
