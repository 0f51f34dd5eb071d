"""Trades: an order, its fills, and the profit once what it filled is sold or bought back.

    open ──► partially_filled ──► executed ──► closed
      │              │                            ▲
      └──────────────┴──► cancelled ──(if filled)─┘

Money follows from a trade alone: an unclosed one has cost its `filled_value` (a short one has
brought it) and its `fees`, a closed one has brought its `realised_profit`.
"""

from decimal import Decimal
from typing import Any, Literal, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import astuple, replace

from schemas.domain import Kind, TransitionRefused
from schemas.tables import Change, Insert, Patch, Table, Upsert
from schemas.trading import money
from schemas.trading.money import ZERO
from schemas.trading.one_row import rows_in, snapshot_as
from schemas.trading.refusal import refusal
from schemas.trading.values import Identifier, Nanoseconds, UtcTime

Side: TypeAlias = Literal["buy", "sell"]
Status: TypeAlias = Literal["open", "partially_filled", "executed", "cancelled", "closed"]


class _Trade(Struct, frozen=True, gc=False):
    trade_id: Identifier
    strategy_id: Identifier
    symbol: Identifier
    side: Side
    status: Status
    quantity: Decimal
    limit_price: Decimal
    filled_quantity: Decimal
    filled_value: Decimal
    """The sum of fill quantity times fill price, exact."""
    average_price: Decimal | None
    """`filled_value` by `filled_quantity` as `money.average` rounds it; None before a fill."""
    fees: Decimal
    exit_price: Decimal | None
    realised_profit: Decimal | None
    opened_at: UtcTime
    opened_at_ns: Nanoseconds
    updated_at: UtcTime
    updated_at_ns: Nanoseconds
    closed_at: UtcTime | None
    closed_at_ns: Nanoseconds | None


class Trade(_Trade, frozen=True, gc=False):
    """One order and what became of it."""


class TradeSnapshotted(_Trade, frozen=True, gc=False):
    """A trade was in memory."""


class TradeOpened(Struct, frozen=True, gc=False):
    """An order went to the market: buy or sell so many, at the limit price or better."""

    trade_id: Identifier
    strategy_id: Identifier
    symbol: Identifier
    side: Side
    quantity: Decimal
    limit_price: Decimal
    at: UtcTime
    at_ns: Nanoseconds


class _Fill(Struct, frozen=True, gc=False):
    trade_id: Identifier
    fill_quantity: Decimal
    fill_price: Decimal
    fill_fee: Decimal
    filled_quantity: Decimal
    """This one and all below: after this fill."""
    filled_value: Decimal
    average_price: Decimal
    fees: Decimal
    at: UtcTime
    at_ns: Nanoseconds


class TradePartiallyFilled(_Fill, frozen=True, gc=False):
    """A part of the order was filled; more is wanted."""


class TradeExecuted(_Fill, frozen=True, gc=False):
    """The last part of the order was filled."""


class TradeCancelled(Struct, frozen=True, gc=False):
    """What was not filled is no longer wanted; what was filled is still held."""

    trade_id: Identifier
    at: UtcTime
    at_ns: Nanoseconds


class TradeClosed(Struct, frozen=True, gc=False):
    """All that was filled was sold, or bought back."""

    trade_id: Identifier
    exit_price: Decimal
    exit_fee: Decimal
    fees: Decimal
    """All of the trade's, this one included."""
    realised_profit: Decimal
    """After all fees."""
    at: UtcTime
    at_ns: Nanoseconds


TradeEvent: TypeAlias = (
    TradeOpened
    | TradePartiallyFilled
    | TradeExecuted
    | TradeCancelled
    | TradeClosed
    | TradeSnapshotted
)

TRADES = Table("trades", columns=Trade.__struct_fields__, key=("trade_id",))

_UNFILLED: tuple[Status, ...] = ("open", "partially_filled")
_HELD: tuple[Status, ...] = ("executed", "cancelled")
_NOT_NEGATIVE = "quantities and prices must be above zero, fees not below"
_SETTLE = "give exit price, profit and time of closing where it is closed, and only there"
_RECOMPUTE = "compute the totals from the present state with money.after_fill and money.profit"


def evolve(trade: Trade | None, event: TradeEvent) -> Trade:
    """Return the trade after an event.

    Raises: TransitionRefused where the state does not allow the event, or where what the event says
            of the whole trade does not follow from the state and the event's own step.
    """
    match event:
        case TradeOpened():
            if trade is not None:
                raise _refusal(event, trade.status, "open a trade under an id never used before")
            _require(event, event.quantity > ZERO and event.limit_price > ZERO, _NOT_NEGATIVE)
            return _opened(event)
        case TradePartiallyFilled():
            return _filled(_present(trade, event, _UNFILLED), event, "partially_filled")
        case TradeExecuted():
            return _filled(_present(trade, event, _UNFILLED), event, "executed")
        case TradeCancelled(at=at, at_ns=at_ns):
            present = _present(trade, event, _UNFILLED)
            return replace(present, status="cancelled", updated_at=at, updated_at_ns=at_ns)
        case TradeClosed():
            present = _present(trade, event, _HELD)
            _require_exit(present, event)
            return replace(present, **_closing(event))
        case TradeSnapshotted():
            sound = ZERO <= event.filled_quantity <= event.quantity and event.limit_price > ZERO
            _require(event, sound, "fill from zero to the whole quantity, at a price above zero")
            brought = (event.exit_price, event.realised_profit, event.closed_at, event.closed_at_ns)
            _require(event, brought.count(None) == (event.status != "closed") * 4, _SETTLE)
            return Trade(*astuple(event))
        case _:
            assert_never(event)


def _opened(event: TradeOpened) -> Trade:
    return Trade(
        event.trade_id, event.strategy_id, event.symbol, event.side, "open", event.quantity,
        event.limit_price, ZERO, ZERO, None, ZERO, None, None, event.at, event.at_ns, event.at,
        event.at_ns, None, None,
    )  # fmt: skip


def _filled(trade: Trade, event: _Fill, status: Status) -> Trade:
    _require_fill(trade, event)
    last = event.filled_quantity == trade.quantity
    _require(event, last is (status == "executed"), "execute with the last fill, and only with it")
    return Trade(
        trade.trade_id, trade.strategy_id, trade.symbol, trade.side, status, trade.quantity,
        trade.limit_price, event.filled_quantity, event.filled_value, event.average_price,
        event.fees, None, None, trade.opened_at, trade.opened_at_ns, event.at, event.at_ns,
        None, None,
    )  # fmt: skip


def _closing(event: TradeClosed) -> dict[str, Any]:
    return {
        "status": "closed",
        "fees": event.fees,
        "exit_price": event.exit_price,
        "realised_profit": event.realised_profit,
        "updated_at": event.at,
        "updated_at_ns": event.at_ns,
        "closed_at": event.at,
        "closed_at_ns": event.at_ns,
    }


def _present(
    trade: Trade | None, event: _Fill | TradeCancelled | TradeClosed, allowed: tuple[Status, ...]
) -> Trade:
    """Return the trade where its state allows the event and the event is not from before it."""
    if trade is None:
        raise _refusal(event, "not known", "open the trade first")
    if trade.status not in allowed:
        raise _refusal(event, trade.status, f"this follows only: {', '.join(allowed)}")
    if event.at_ns < trade.updated_at_ns:
        remedy = f"{event.at_ns} ns is earlier: record events in the order of their times"
        raise _refusal(event, f"at {trade.updated_at_ns} ns", remedy)
    return trade


def _require_fill(trade: Trade, event: _Fill) -> None:
    quantity, price, fee = event.fill_quantity, event.fill_price, event.fill_fee
    _require(event, quantity > ZERO and price > ZERO and fee >= ZERO, _NOT_NEGATIVE)
    within = price <= trade.limit_price if trade.side == "buy" else price >= trade.limit_price
    _require(event, within, "fill at the limit price or better")
    totals = money.after_fill(trade, quantity, price, fee)
    _require(event, totals.filled_quantity <= trade.quantity, "fill no more than what is open")
    if (event.filled_quantity, event.filled_value, event.average_price, event.fees) != totals:
        raise _refusal(event, f"at {totals} after this fill", _RECOMPUTE)


def _require_exit(trade: Trade, event: TradeClosed) -> None:
    _require(event, trade.filled_quantity > ZERO, "nothing was filled, so nothing can leave")
    _require(event, event.exit_price > ZERO and event.exit_fee >= ZERO, _NOT_NEGATIVE)
    fees = money.add(trade.fees, event.exit_fee)
    found = (fees, money.profit(trade, event.exit_price, fees))
    if (event.fees, event.realised_profit) != found:
        raise _refusal(event, f"left with fees and profit {found}", _RECOMPUTE)


def _require(event: TradeEvent | _Fill, holds: bool, remedy: str) -> None:
    if not holds:
        raise _refusal(event, "not served by its values", remedy)


def _refusal(event: TradeEvent | _Fill, state: str, remedy: str) -> TransitionRefused:
    return refusal(f"trade/{event.trade_id}", state, event, remedy)


def project(event: TradeEvent) -> tuple[Change, ...]:
    """Return what an event does to the tables."""
    match event:
        case TradeOpened():
            return (Insert(TRADES, astuple(_opened(event))),)
        case TradePartiallyFilled():
            return _fill_patch(event, "partially_filled")
        case TradeExecuted():
            return _fill_patch(event, "executed")
        case TradeClosed(trade_id=trade_id):
            return (Patch(TRADES, (trade_id,), _closing(event)),)
        case TradeCancelled(trade_id=trade_id, at=at, at_ns=at_ns):
            changes = {"status": "cancelled", "updated_at": at, "updated_at_ns": at_ns}
            return (Patch(TRADES, (trade_id,), changes),)
        case TradeSnapshotted():
            return (Upsert(TRADES, astuple(event)),)
        case _:
            assert_never(event)


def _fill_patch(event: _Fill, status: Status) -> tuple[Patch]:
    changes = {
        "status": status,
        "filled_quantity": event.filled_quantity,
        "filled_value": event.filled_value,
        "average_price": event.average_price,
        "fees": event.fees,
        "updated_at": event.at,
        "updated_at_ns": event.at_ns,
    }
    return (Patch(TRADES, (event.trade_id,), changes),)


rows = rows_in(TRADES)
snapshot = snapshot_as(TradeSnapshotted)

KIND = Kind(
    name="trade",
    entity=Trade,
    events={
        "trading.trade.opened.v1": TradeOpened,
        "trading.trade.partially_filled.v1": TradePartiallyFilled,
        "trading.trade.executed.v1": TradeExecuted,
        "trading.trade.cancelled.v1": TradeCancelled,
        "trading.trade.closed.v1": TradeClosed,
        "trading.trade.snapshotted.v1": TradeSnapshotted,
    },
    key=("trade_id",),
    stream=("trade_id",),
    evolve=evolve,
    project=project,
    rows=rows,
    snapshot=snapshot,
    tables=(TRADES,),
)
