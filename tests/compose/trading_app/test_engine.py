from collections import Counter

import pytest

from compose.trading_app.desk import Desk
from compose.trading_app.engine import TradingEngine
from compose.trading_app.lifecycle import STAFF
from compose.trading_app.market_data import RING_BARS
from compose.trading_app.portfolio import RING_SNAPSHOTS
from compose.trading_app.tape import Tape
from schemas.trading import DOMAIN
from schemas.trading.executions import ExecutionFailed, ExecutionStarted
from schemas.trading.market_data import BarReceived
from schemas.trading.portfolio import PortfolioTaken, equity
from schemas.trading.trades import TradeOpened
from schemas.validity import Validator
from tests.compose.trading_app.trading import BARS, trade


def test_every_event_type_occurs_in_the_first_bars() -> None:
    events = trade(2000).events

    seen = {DOMAIN.type_of[type(event)] for event in events}

    assert seen == {name for name in DOMAIN.by_type if not name.endswith(".snapshotted.v1")}


def test_every_event_can_be_recorded() -> None:
    validators = {event: Validator(event) for event in DOMAIN.type_of}

    for event in trade(1500, multiplicity=2).events:
        validators[type(event)].encode(event)


def test_the_same_seed_trades_the_same_and_another_one_does_not() -> None:
    events = trade(1500).events

    assert trade(1500).events == events
    assert trade(1500, seed=2).events != events


def test_memory_is_what_the_events_say() -> None:
    desk, events = trade(1500)
    entities: dict[tuple[str, object], object] = {}

    for event in events:
        kind = DOMAIN.kind_of[type(event)]
        place = (kind.name, kind.key_getter()(event))
        entities[place] = kind.evolve(entities.get(place), event)

    for name in desk.recording.stores:
        kind = DOMAIN.kind(name)
        for entity in desk.recording.entities(name):
            assert entities[name, kind.key_getter()(entity)] == entity


def test_rings_are_bounded() -> None:
    desk = trade(3000, multiplicity=2).desk

    assert {len(ring) for ring in desk.market.rings.values()} == {RING_BARS}
    assert {len(ring) for ring in desk.portfolios.rings.values()} == {RING_SNAPSHOTS}


def test_portfolios_are_worth_their_cash_and_positions() -> None:
    taken = [event for event in trade(3000).events if isinstance(event, PortfolioTaken)]

    assert any(portfolio.positions for portfolio in taken)
    for portfolio in taken:
        assert portfolio.equity == equity(portfolio.cash, portfolio.positions)


def test_candidates_leave_without_having_traded() -> None:
    desk, events = trade(2000)

    traded = {event.strategy_id for event in events if isinstance(event, TradeOpened)}
    looked = {event.strategy_id for event in events if isinstance(event, ExecutionStarted)}

    assert traded == set(STAFF)
    assert any(strategy_id.startswith("C-") for strategy_id in looked)
    assert set(desk.strategies.strategies) == set(STAFF)


def test_executions_fail_for_want_of_bars_of_a_feed_and_of_cash() -> None:
    errors = [event.error for event in trade(5000).events if isinstance(event, ExecutionFailed)]

    for part in ("bars, there are", "timed out", "the order needs"):
        assert any(part in error for error in errors)


def test_no_bar_costs_more_than_a_few_events() -> None:
    events = trade(2000).events

    counts = Counter(isinstance(event, BarReceived) for event in events)

    assert counts[True] == 2000
    assert 3 < len(events) / counts[True] < 10


@pytest.mark.parametrize("cut", [1, 777, 1201, 1202, 1203, 1204, 4000])
def test_a_desk_cut_off_between_any_two_events_goes_on_without_a_collision(cut: int) -> None:
    desk, events = Desk(), trade(1000).events[:cut]
    for event in events:
        desk.recording.record((event,))

    engine = TradingEngine(desk, seed=1)
    engine.resume()
    started = desk.executions.unfinished()
    ticks = Tape(BARS).play_after(desk.market.newest_ns())
    for _ in range(500):
        engine.on_tick(next(ticks))

    known = desk.executions.executions
    assert all(known[execution.execution_id].status == "failed" for execution in started)
    assert not desk.executions.unfinished()
    assert sum(isinstance(event, BarReceived) for event in events) + 500 == next(ticks).ordinal
