"""What must hold of trades: no more filled than ordered, at the limit, and sums that recompute."""

from decimal import Decimal

from schemas.rules import (
    Ascending,
    Check,
    Content,
    InOrder,
    Measured,
    Precision,
    Range,
    Reference,
    Rule,
    StepCheck,
    Timed,
    Wrong,
)
from schemas.trading import money
from schemas.trading.money import ZERO
from schemas.trading.rules.market_data import PRICE_PLACES
from schemas.trading.trades import (
    Trade,
    TradeClosed,
    TradeExecuted,
    TradePartiallyFilled,
)

_VALUE_PLACES = 2 * PRICE_PLACES
"""Of a quantity times a price."""
_Fill = TradePartiallyFilled | TradeExecuted


def _fills_within_order(trade: Trade) -> Wrong | None:
    if trade.filled_quantity <= trade.quantity:
        return None
    return f"{trade.filled_quantity} filled", f"at most {trade.quantity}, as ordered"


def _fills_fit_status(trade: Trade) -> Wrong | None:
    filled, ordered, status = trade.filled_quantity, trade.quantity, trade.status
    if status == "closed":
        fits, expected = filled > ZERO, "something filled"
    elif status == "executed":
        fits, expected = filled == ordered, "all filled"
    elif status == "open":
        fits, expected = filled == ZERO, "nothing filled"
    elif status == "cancelled":
        fits, expected = filled < ordered, "not all filled"
    else:
        fits, expected = ZERO < filled < ordered, "some filled, not all"
    return None if fits else (f"{status}, {filled} of {ordered} filled", expected)


def _within_limit(trade: Trade) -> Wrong | None:
    worst = money.multiply(trade.filled_quantity, trade.limit_price)
    value = trade.filled_value
    if value <= worst if trade.side == "buy" else value >= worst:
        return None
    sign = "at most" if trade.side == "buy" else "at least"
    return f"filled for {value}", f"{sign} {worst}: the limit is {trade.limit_price}"


def _average_recomputes(trade: Trade) -> Wrong | None:
    filled = trade.filled_quantity
    average = money.average(trade.filled_value, filled) if filled else None
    if trade.average_price == average:
        return None
    return f"average {trade.average_price}", f"{average}: {trade.filled_value} by {filled}"


def _nothing_for_nothing(trade: Trade) -> Wrong | None:
    if trade.filled_quantity or not (trade.filled_value or trade.fees):
        return None
    return f"value {trade.filled_value}, fees {trade.fees}", "0 and 0: nothing was filled"


def _settled_once_closed(trade: Trade) -> Wrong | None:
    brought = (trade.exit_price, trade.realised_profit, trade.closed_at, trade.closed_at_ns)
    given = 4 - brought.count(None)
    expected = 4 if trade.status == "closed" else 0
    if given == expected:
        return None
    return f"{trade.status}, {given} of exit price, profit and time of closing", f"{expected} of 4"


def _profit_recomputes(trade: Trade) -> Wrong | None:
    if trade.exit_price is None or trade.realised_profit is None:
        return None
    profit = money.profit(trade, trade.exit_price, trade.fees)
    if trade.realised_profit == profit:
        return None
    return f"profit {trade.realised_profit}", f"{profit}, from fills, exit price and fees"


def _fees_recompute(before: Trade | None, event: _Fill | TradeClosed) -> Wrong | None:
    paid = event.exit_fee if isinstance(event, TradeClosed) else event.fill_fee
    fees = money.add(before.fees if before else ZERO, paid)
    return None if event.fees == fees else (f"fees {event.fees}", f"{fees}, with {paid} for this")


def _fill_adds_up(before: Trade | None, event: _Fill) -> Wrong | None:
    filled, value = (before.filled_quantity, before.filled_value) if before else (ZERO, ZERO)
    sums: tuple[Decimal, Decimal] = (
        money.add(filled, event.fill_quantity),
        money.add(value, money.multiply(event.fill_quantity, event.fill_price)),
    )
    if (event.filled_quantity, event.filled_value) == sums:
        return None
    return f"{event.filled_quantity} filled for {event.filled_value}", f"{sums[0]} for {sums[1]}"


RULES: tuple[Rule, ...] = (
    Range("trade", "quantity", above=0),
    Range("trade", "limit_price", above=0),
    Range("trade", "filled_quantity", at_least=0),
    Range("trade", "filled_value", at_least=0),
    Range("trade", "average_price", above=0),
    Range("trade", "fees", at_least=0),
    Range("trade", "exit_price", above=0),
    Range("trade", "fill_quantity", above=0),
    Range("trade", "fill_price", above=0),
    Range("trade", "fill_fee", at_least=0),
    Range("trade", "exit_fee", at_least=0),
    Precision("trade", "quantity", places=PRICE_PLACES),
    Precision("trade", "limit_price", places=PRICE_PLACES),
    Precision("trade", "average_price", places=PRICE_PLACES),
    Precision("trade", "exit_price", places=PRICE_PLACES),
    Precision("trade", "fees", places=PRICE_PLACES),
    Precision("trade", "filled_value", places=_VALUE_PLACES),
    Ascending("trade", ("opened_at_ns", "closed_at_ns", "updated_at_ns")),
    InOrder("trade", "updated_at_ns"),
    Check(
        "fills_within_order", "trade", "more was filled than ordered", _fills_within_order
    ),
    Check("fills_fit_status", "trade", "what is filled does not fit the status", _fills_fit_status),
    Check("within_limit", "trade", "it was filled beyond its limit price", _within_limit),
    Check(
        "average_recomputes", "trade", "the average price is not that of the fills",
        _average_recomputes,
    ),
    Check("nothing_for_nothing", "trade", "nothing was filled, and it cost", _nothing_for_nothing),
    Check(
        "settled_once_closed", "trade", "closed and not settled, or settled and not closed",
        _settled_once_closed,
    ),
    Check("profit_recomputes", "trade", "the profit does not recompute", _profit_recomputes),
    StepCheck(
        "fees_recompute", "trade", "the fees do not add up", _fees_recompute,
        (TradePartiallyFilled, TradeExecuted, TradeClosed),
    ),
    StepCheck(
        "fill_adds_up", "trade", "the fills do not add up", _fill_adds_up,
        (TradePartiallyFilled, TradeExecuted),
    ),
    Reference("trade", "strategy_id", "strategy", veto=True),
    *(
        Measured("trade", name, group_by="symbol")
        for name in ("quantity", "limit_price", "filled_value", "average_price")
    ),
    Measured("trade", "fees"),
    Measured("trade", "realised_profit"),
    Timed("trade", "opened_at"),
    Content("trade", ("strategy_id", "symbol", "side", "quantity", "limit_price", "opened_at_ns")),
)  # fmt: skip
