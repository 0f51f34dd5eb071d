from collections import Counter

from compose.trading_app.desk import Desk
from compose.trading_app.lifecycle import STAFF, Lifecycle
from compose.trading_app.tape import Tape
from schemas.trading.strategies import StrategyRegistered, StrategyRemoved
from tests.compose.trading_app.trading import BARS, trade


def test_the_staff_runs_from_the_first_tick() -> None:
    desk = trade(1).desk

    assert {plan.strategy_id for plan in desk.strategies.plans} == set(STAFF)


def test_each_candidate_comes_and_goes_once() -> None:
    events = trade(2000).events

    came = Counter(e.strategy_id for e in events if isinstance(e, StrategyRegistered))
    gone = Counter(e.strategy_id for e in events if isinstance(e, StrategyRemoved))

    assert set(came.values()) == {1}
    assert set(came) - set(gone) == set(STAFF)
    assert len(gone) == 50


def test_strategies_left_in_any_state_are_all_running_after_a_cycle() -> None:
    desk = trade(2130).desk
    assert any(s.status != "running" for s in desk.strategies.strategies.values())

    lifecycle = Lifecycle(desk.strategies, desk.recording.record, seed=1)
    for tick in Tape(BARS).play_after(desk.market.newest_ns()):
        if tick.ordinal > 2400:
            break
        if tick.ordinal % 400 in {0, 1}:
            lifecycle.on_tick(tick)

    assert {s.status for s in desk.strategies.strategies.values()} == {"running"}


def test_an_empty_desk_has_no_plans() -> None:
    assert Desk().strategies.plans == []
