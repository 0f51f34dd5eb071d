from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.domain import TransitionRefused
from schemas.trading.executions import (
    KIND,
    Execution,
    ExecutionCompleted,
    ExecutionEvent,
    ExecutionFailed,
    ExecutionSignalled,
    ExecutionStarted,
    evolve,
)
from tests.schemas.trading.histories import Clock, identifiers, require_agreement, texts, time_of

AT = (time_of(5_000), 5_000)
LATER = (time_of(6_000), 6_000)
STARTED = ExecutionStarted("E", "S", "IBM", *AT, *AT)
SIGNALLED = ExecutionSignalled("E", "buy", Decimal("0.5"), "T", *LATER)
MOVES: dict[str | None, tuple[str, ...]] = {
    None: ("start",),
    "started": ("signal", "fail"),
    "signalled": ("complete", "fail"),
    "completed": (),
    "failed": (),
}


@st.composite
def histories(draw: Any) -> list[ExecutionEvent]:
    clock = Clock(draw)
    known: dict[str, Execution] = {}
    history: list[ExecutionEvent] = []
    for _ in range(draw(st.integers(0, 15))):
        execution_id = draw(identifiers)
        present = known.get(execution_id)
        moves = MOVES[present.status if present else None]
        if not moves:
            continue
        event: ExecutionEvent
        match draw(st.sampled_from(moves)):
            case "start":
                event = ExecutionStarted(execution_id, "S", "IBM", *clock.tick(), *clock.tick())
            case "signal":
                signal = draw(st.sampled_from(["buy", "sell", "hold"]))
                strength = draw(st.decimals("0", "1", places=4))
                trade_id = draw(st.none() | identifiers)
                event = ExecutionSignalled(execution_id, signal, strength, trade_id, *clock.tick())
            case "complete":
                event = ExecutionCompleted(execution_id, *clock.tick())
            case _:
                event = ExecutionFailed(execution_id, draw(texts), *clock.tick())
        known[execution_id] = evolve(present, event)
        history.append(event)
    return history


@given(histories())
def test_executions_and_rows_agree_over_every_history(history: list[ExecutionEvent]) -> None:
    require_agreement(KIND, history)


@pytest.mark.parametrize("status", MOVES)
@pytest.mark.parametrize(
    ("move", "event"),
    [
        ("start", STARTED),
        ("signal", SIGNALLED),
        ("complete", ExecutionCompleted("E", *LATER)),
        ("fail", ExecutionFailed("E", "no price", *LATER)),
    ],
)
def test_only_the_moves_of_a_status_are_allowed(
    status: Any, move: str, event: ExecutionEvent
) -> None:
    present = (
        Execution("E", "S", "IBM", *AT, status, None, None, None, None, *AT, *AT)
        if status
        else None
    )

    if move in MOVES[status]:
        evolve(present, event)
    else:
        with pytest.raises(TransitionRefused, match="execution/E is ") as refused:
            evolve(present, event)
        assert refused.value.remedy


@pytest.mark.parametrize("strength", ["-0.1", "1.1"])
def test_a_strength_that_is_no_share_is_refused(strength: str) -> None:
    event = ExecutionSignalled("E", "buy", Decimal(strength), None, *LATER)

    with pytest.raises(TransitionRefused, match=strength):
        evolve(evolve(None, STARTED), event)


def test_an_event_from_before_the_last_one_is_refused() -> None:
    present = evolve(evolve(None, STARTED), SIGNALLED)

    with pytest.raises(TransitionRefused, match="execution/E is at 6000 ns"):
        evolve(present, ExecutionCompleted("E", *AT))
