from itertools import islice, pairwise

import pytest
from bokeh_sampledata import stocks

from compose.trading_app.tape import SYMBOLS, Tape
from tests.compose.trading_app.trading import BARS


def test_every_bar_of_the_package_is_on_the_tape() -> None:
    in_package = {symbol: len(getattr(stocks, symbol)["date"]) for symbol in SYMBOLS}

    assert len(BARS) == sum(in_package.values()) == 12_154
    assert {s: sum(bar.symbol == s for bar in BARS) for s in SYMBOLS} == in_package


def test_prices_are_read_exactly() -> None:
    first = BARS[0]

    assert first.symbol == "AAPL"
    assert str(first.opened_at) == "2000-03-01 14:30:00+00:00"
    assert [str(price) for price in first[2:6]] == ["118.56", "132.06", "118.5", "130.31"]


def test_laps_give_each_symbol_rising_dates_and_every_tick_a_later_moment() -> None:
    tape = Tape(BARS, multiplicity=2)

    ticks = list(tape.play(laps=2))

    assert len(ticks) == 2 * tape.ticks_per_lap == 4 * len(BARS)
    assert [tick.ordinal for tick in ticks] == list(range(len(ticks)))
    moments = [tick.at_ns for tick in ticks]
    assert all(earlier < later for earlier, later in pairwise(moments))
    for symbol in ("IBM", "IBM.2"):
        own = [tick for tick in ticks if tick.bar.symbol == symbol]
        opened = [tick.bar.opened_at_ns for tick in own]
        assert sorted(set(opened)) == opened
        assert [tick.number for tick in own] == list(range(len(own)))


def test_a_second_lap_keeps_the_days_of_the_week() -> None:
    tape = Tape(BARS)

    first, second = next(tape.play()), next(islice(tape.play(), len(BARS), None))

    assert second.bar.opened_at > first.bar.opened_at
    assert second.bar.opened_at.weekday() == first.bar.opened_at.weekday()


def test_the_last_lap_still_fits_into_a_bigint() -> None:
    tape = Tape(BARS[:1] + BARS[-1:])

    *_, last = tape.play()

    assert 2**62 < last.at_ns < 2**63


@pytest.mark.parametrize("known", [0, 1, 5, 4_321, 12_154, 20_000])
def test_the_tape_goes_on_after_the_newest_bars_known(known: int) -> None:
    tape = Tape(BARS)
    seen = list(islice(tape.play(), known))
    newest_ns = {tick.bar.symbol: tick.bar.opened_at_ns for tick in seen}

    following = next(tape.play_after(newest_ns))

    assert following.ordinal == known
