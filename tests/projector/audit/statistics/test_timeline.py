from random import Random

from projector.audit.statistics.timeline import TimeLine

DAY = 86_400.0


def line(times: list[float]) -> TimeLine:
    made = TimeLine()
    for at in times:
        made.add(at)
    return made


def poisson(count: int, seed: int = 1) -> list[float]:
    random, at, times = Random(seed), 1.7e9, []
    for _ in range(count):
        at += random.expovariate(1 / 60)
        times.append(at)
    return times


def test_a_gap_is_found_and_exact_in_whatever_order_times_come() -> None:
    times = poisson(5_000)
    late = [at if at < times[2_000] else at + 2 * DAY for at in times]
    shuffled = Random(2).sample(late, len(late))

    for order in (late, late[::-1], shuffled):
        (gap,) = line(order).gaps(tests=10)
        assert (gap.begin_s, gap.end_s) == (times[1_999], times[2_000] + 2 * DAY)


def test_gaps_as_chance_makes_them_are_none() -> None:
    assert line(poisson(5_000)).gaps(tests=10) == []


def test_a_break_of_a_few_times_the_usual_is_none() -> None:
    times = poisson(5_000)

    assert line([at if at < times[2_000] else at + 600 for at in times]).gaps(tests=10) == []


def test_of_a_steady_beat_five_beats_are_a_gap() -> None:
    beats = [60.0 * number for number in range(200)]

    assert line([*beats, beats[-1] + 290.0]).gaps(tests=10) == []
    assert len(line([*beats, beats[-1] + 310.0]).gaps(tests=10)) == 1


def test_weekends_are_no_gaps_and_a_missing_quarter_is_one() -> None:
    workdays = [DAY * day for day in range(2_000) if day % 7 < 5]
    without = [at for at in workdays if not 700 * DAY < at < 791 * DAY]

    assert line(workdays).gaps(tests=10) == []
    (gap,) = line(without).gaps(tests=10)
    assert 90 * DAY < gap.seconds < 95 * DAY


def test_of_few_moments_nothing_is_said() -> None:
    few = [60.0 * number for number in range(100)]
    enough = [60.0 * number for number in range(102)]

    assert line([*few[:-1], 1e9]).gaps(tests=1) == []
    assert line([*enough, 1e9]).gaps(tests=1)


def test_a_burst_is_found_and_as_many_as_chance_makes_are_none() -> None:
    times = poisson(20_000)
    storm = [times[9_000] + number * 0.01 for number in range(5_000)]

    assert line(times).bursts(tests=10) == []
    (burst, *_) = line([*times, *storm]).bursts(tests=10)
    assert burst.records > 4_000
    assert burst.begin_s <= times[9_000] <= burst.begin_s + burst.span_s


def test_memory_is_bounded_and_every_moment_counted() -> None:
    made = line([number * 1_000.0 for number in range(50_000)])

    at_s, counts = made.rates()
    assert len(at_s) <= 512
    assert sum(counts) == made.count == 50_000


def test_one_moment_far_away_does_not_blur_the_others() -> None:
    made = line([*poisson(1_000), 7e9])

    assert made.span_s < 1_000
