import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.domain import TransitionRefused
from schemas.trading import money
from schemas.trading.trades import (
    KIND,
    Side,
    Trade,
    TradeCancelled,
    TradeClosed,
    TradeEvent,
    TradeExecuted,
    TradeOpened,
    TradePartiallyFilled,
    TradeSnapshotted,
    evolve,
    snapshot,
)
from tests.schemas.trading.histories import (
    Clock,
    amounts,
    fees,
    identifiers,
    require_agreement,
    time_of,
)

AT = (time_of(5_000), 5_000)
LATER = (time_of(6_000), 6_000)


def opened(trade_id: str = "T", side: Side = "buy", quantity: str = "10") -> TradeOpened:
    return TradeOpened(trade_id, "S", "IBM", side, Decimal(quantity), Decimal("100"), *AT)


def fill(event: type[Any], trade: Trade, step: tuple[Any, Any, Any], at: Any) -> Any:
    quantity, price, fee = map(Decimal, step)
    totals = money.after_fill(trade, quantity, price, fee)
    return event(trade.trade_id, quantity, price, fee, *totals, *at)


def close(trade: Trade, price: Any, fee: Any, at: Any) -> TradeClosed:
    total = money.add(trade.fees, Decimal(fee))
    profit = money.profit(trade, Decimal(price), total)
    return TradeClosed(trade.trade_id, Decimal(price), Decimal(fee), total, profit, *at)


def executed(side: Side = "buy") -> Trade:
    trade = evolve(None, opened(side=side))
    trade = evolve(trade, fill(TradePartiallyFilled, trade, (4, 100, "1"), AT))
    return evolve(trade, fill(TradeExecuted, trade, (6, 100, "1"), AT))


@st.composite
def next_event(draw: Any, trade: Trade, clock: Clock) -> TradeEvent | None:
    held = trade.status in ("executed", "cancelled") and trade.filled_quantity
    if held:
        return close(trade, draw(amounts), draw(fees), clock.tick())
    if trade.status in ("executed", "cancelled", "closed"):
        return None
    step = draw(st.sampled_from(["part", "rest", "cancel"]))
    if step == "cancel":
        return TradeCancelled(trade.trade_id, *clock.tick())
    rest = trade.quantity - trade.filled_quantity
    part = draw(st.decimals("0.0001", rest, places=4)) if step == "part" else rest
    limits = (trade.limit_price, trade.limit_price * 2)
    least, most = (Decimal("0.0001"), limits[0]) if trade.side == "buy" else limits
    event = TradeExecuted if part == rest else TradePartiallyFilled
    price = draw(st.decimals(least, most, places=4))
    filled: TradeEvent = fill(event, trade, (part, price, draw(fees)), clock.tick())
    return filled


@st.composite
def histories(draw: Any) -> list[TradeEvent]:
    clock = Clock(draw)
    known: dict[str, Trade] = {}
    history: list[TradeEvent] = []
    for _ in range(draw(st.integers(0, 15))):
        trade_id = draw(identifiers)
        present = known.get(trade_id)
        event: TradeEvent | None
        if present is None:
            side = draw(st.sampled_from(["buy", "sell"]))
            event = TradeOpened(
                trade_id, "S", "IBM", side, draw(amounts), draw(amounts), *clock.tick()
            )
        else:
            event = draw(next_event(present, clock))
        if event is not None:
            known[trade_id] = evolve(present, event)
            history.append(event)
    return history


@given(histories())
def test_trades_and_rows_agree_over_every_history(history: list[TradeEvent]) -> None:
    require_agreement(KIND, history)


@pytest.mark.parametrize(
    ("side", "expected"), [("buy", "97.5"), ("sell", "-102.5")], ids=["long", "short"]
)
def test_profit_is_what_left_less_what_came_and_all_fees(side: Side, expected: str) -> None:
    trade = executed(side)

    closed = evolve(trade, close(trade, price="110", fee="0.5", at=LATER))

    assert closed.realised_profit == Decimal(expected)
    assert closed.fees == Decimal("2.5")
    assert closed.status == "closed"


def test_the_average_price_is_rounded_but_the_value_is_exact() -> None:
    trade = evolve(None, opened(quantity="3"))
    trade = evolve(trade, fill(TradePartiallyFilled, trade, (1, "10", 0), AT))

    trade = evolve(trade, fill(TradeExecuted, trade, (2, "10.01", 0), AT))

    assert trade.filled_value == Decimal("30.02")
    assert trade.average_price == Decimal("10.00666667")


@pytest.mark.parametrize(
    "wrong",
    [
        {"fill_quantity": Decimal(0)},
        {"fill_price": Decimal(-1)},
        {"fill_fee": Decimal("-0.01")},
        {"filled_quantity": Decimal("4.1")},
        {"filled_value": Decimal("400.1")},
        {"average_price": Decimal("100.1")},
        {"fees": Decimal("1.1")},
        {"at_ns": 4_999},
    ],
)
def test_a_fill_that_does_not_follow_from_the_trade_is_refused(wrong: dict[str, Any]) -> None:
    trade = evolve(None, opened())
    event = fill(TradePartiallyFilled, trade, (4, 100, "1"), AT)

    with pytest.raises(TransitionRefused, match="trade/T is "):
        evolve(trade, replace(event, **wrong))


@pytest.mark.parametrize(("side", "price"), [("buy", "100.01"), ("sell", "99.99")])
def test_a_fill_worse_than_the_limit_is_refused(side: Side, price: str) -> None:
    trade = evolve(None, opened(side=side))

    with pytest.raises(TransitionRefused) as refused:
        evolve(trade, fill(TradePartiallyFilled, trade, (4, price, 0), AT))

    assert "limit" in refused.value.remedy


@pytest.mark.parametrize(
    ("event", "quantity"), [(TradeExecuted, 9), (TradePartiallyFilled, 10), (TradeExecuted, 11)]
)
def test_only_the_last_fill_executes_a_trade(event: type[Any], quantity: int) -> None:
    trade = evolve(None, opened())

    with pytest.raises(TransitionRefused):
        evolve(trade, fill(event, trade, (quantity, 100, 0), AT))


@pytest.mark.parametrize("wrong", ["exit_price", "exit_fee", "fees", "realised_profit"])
def test_a_close_that_does_not_follow_from_the_trade_is_refused(wrong: str) -> None:
    trade = executed()
    event = close(trade, "110", "0.5", LATER)
    wrong_value = money.add(getattr(event, wrong), Decimal("0.01"))

    with pytest.raises(TransitionRefused, match="trade/T is left with"):
        evolve(trade, replace(event, **{wrong: wrong_value}))


def test_what_was_filled_before_a_cancellation_can_still_be_closed() -> None:
    trade = evolve(None, opened())
    trade = evolve(trade, fill(TradePartiallyFilled, trade, (4, 100, 0), AT))
    trade = evolve(trade, TradeCancelled("T", *AT))

    closed = evolve(trade, close(trade, "101", 0, LATER))

    assert closed.realised_profit == Decimal(4)


def test_a_trade_cancelled_unfilled_has_nothing_to_close() -> None:
    trade = evolve(evolve(None, opened()), TradeCancelled("T", *AT))

    with pytest.raises(TransitionRefused) as refused:
        evolve(trade, close(trade, "101", 0, LATER))

    assert "nothing was filled" in refused.value.remedy


def test_moves_out_of_order_are_refused() -> None:
    trade = executed()
    closed = evolve(trade, close(trade, "101", 0, LATER))

    moves: list[tuple[Trade | None, TradeEvent]] = [
        (None, TradeCancelled("T", *LATER)),
        (trade, opened()),
        (trade, TradeCancelled("T", *LATER)),
        (closed, TradeCancelled("T", *LATER)),
        (closed, close(trade, "101", 0, LATER)),
        (evolve(None, opened()), close(trade, "101", 0, LATER)),
    ]
    for present, event in moves:
        with pytest.raises(TransitionRefused, match="trade/T is ") as refused:
            evolve(present, event)
        assert refused.value.remedy


def test_the_apps_own_decimal_context_changes_nothing() -> None:
    trade = evolve(None, opened(quantity="3"))
    event = fill(TradePartiallyFilled, trade, (1, "33.333333", "0.1"), AT)

    with decimal.localcontext(prec=3):
        coarse = evolve(trade, event)

    assert coarse == evolve(trade, event)
    assert coarse.filled_value == Decimal("33.333333")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "executed"},
        {"closed_at": None},
        {"closed_at_ns": None},
        {"realised_profit": None},
        {"exit_price": None},
    ],
)
def test_a_snapshot_is_settled_where_it_is_closed_and_only_there(wrong: dict[str, Any]) -> None:
    executed = evolve(
        evolve(None, opened()),
        fill(TradeExecuted, evolve(None, opened()), (10, 99, 1), LATER),
    )
    closed: TradeSnapshotted = snapshot(evolve(executed, close(executed, 101, 1, LATER)))
    assert evolve(None, closed)

    with pytest.raises(TransitionRefused, match="TradeSnapshotted cannot follow: trade/T is not"):
        evolve(None, replace(closed, **wrong))
