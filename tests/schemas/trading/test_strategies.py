from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.domain import TransitionRefused
from schemas.trading.strategies import (
    KIND,
    ParametersChanged,
    Strategy,
    StrategyEvent,
    StrategyPaused,
    StrategyRegistered,
    StrategyRemoved,
    StrategyStarted,
    StrategyStopped,
    evolve,
)
from schemas.validity import EventInvalid
from tests.schemas.trading.histories import (
    VALIDATORS,
    Clock,
    identifiers,
    parameters,
    require_agreement,
    time_of,
)

AT = (time_of(5_000), 5_000)
LATER = (time_of(6_000), 6_000)
ALGORITHM = "moving_average"
MOVES: dict[str, tuple[type[Any], ...]] = {
    "registered": (StrategyStarted, ParametersChanged, StrategyRemoved),
    "running": (StrategyPaused, StrategyStopped),
    "paused": (StrategyStarted, StrategyStopped, ParametersChanged),
    "stopped": (StrategyStarted, ParametersChanged, StrategyRemoved),
}


@st.composite
def histories(draw: Any) -> list[StrategyEvent]:
    clock = Clock(draw)
    known: dict[str, Strategy | None] = {}
    history: list[StrategyEvent] = []
    for _ in range(draw(st.integers(0, 15))):
        strategy_id = draw(identifiers)
        present = known.get(strategy_id)
        event: StrategyEvent
        if present is None:
            event = StrategyRegistered(strategy_id, ALGORITHM, draw(parameters), *clock.tick())
        else:
            move = draw(st.sampled_from(MOVES[present.status]))
            values = [draw(parameters)] if move is ParametersChanged else []
            event = move(strategy_id, *values, *clock.tick())
        known[strategy_id] = evolve(present, event)
        history.append(event)
    return history


@given(histories())
def test_strategies_and_rows_agree_over_every_history(history: list[StrategyEvent]) -> None:
    require_agreement(KIND, history)


@pytest.mark.parametrize("status", [None, *MOVES])
@pytest.mark.parametrize(
    "move", [StrategyStarted, StrategyPaused, StrategyStopped, StrategyRemoved, ParametersChanged]
)
def test_only_the_moves_of_a_status_are_allowed(status: Any, move: type[Any]) -> None:
    strategy = Strategy("S", ALGORITHM, status, {}, *AT, *AT) if status else None
    event = move("S", *([{}] if move is ParametersChanged else []), *LATER)

    if status and move in MOVES[status]:
        evolve(strategy, event)
    else:
        with pytest.raises(TransitionRefused, match="strategy/S is ") as refused:
            evolve(strategy, event)
        assert refused.value.remedy


def test_registering_twice_is_refused() -> None:
    event = StrategyRegistered("S", ALGORITHM, {}, *AT)
    strategy = evolve(None, event)

    with pytest.raises(TransitionRefused, match="strategy/S is registered"):
        evolve(strategy, event)


def test_an_event_from_before_the_last_one_is_refused() -> None:
    strategy = evolve(None, StrategyRegistered("S", ALGORITHM, {}, *LATER))

    with pytest.raises(TransitionRefused, match="strategy/S is at 6000 ns"):
        evolve(strategy, StrategyStarted("S", *AT))


def test_a_removed_strategy_is_no_more_and_its_id_is_free() -> None:
    strategy = evolve(None, StrategyRegistered("S", ALGORITHM, {}, *AT))

    removed = evolve(strategy, StrategyRemoved("S", *LATER))
    again = evolve(removed, StrategyRegistered("S", ALGORITHM, {"window": "5"}, *LATER))

    assert removed is None
    assert again is not None
    assert again.parameters == {"window": "5"}


def test_a_parameter_that_jsonb_cannot_hold_is_refused_before_memory_changes() -> None:
    event = StrategyRegistered("S", ALGORITHM, {"window": "\0"}, *AT)

    with pytest.raises(EventInvalid):
        VALIDATORS[StrategyRegistered].encode(event)
