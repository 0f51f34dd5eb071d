"""What each event type of the trading domain does to the tables, as a table of its own."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tests.checker.kinds import (
    MARKET_BARS,
    PORTFOLIO_POSITIONS,
    PORTFOLIO_SNAPSHOTS,
    STRATEGIES,
    STRATEGY_EXECUTIONS,
    TABLES,
    TRADES,
    Table,
)

Act = Literal["creates", "states", "changes", "ends"]


class Items(NamedTuple):
    """A member that is a list, each item of which makes a row beside the entity's own."""

    member: str
    table: Table
    shared: frozenset[str]
    """Columns filled from the event itself; an item has exactly the others."""


class Rule(NamedTuple):
    """What one event type does to one row."""

    act: Act
    """creates: the row is new; states: it may be; changes, ends: it is there."""
    table: Table
    takes: Mapping[str, str]
    """Column → the data's member that it takes."""
    sets: Mapping[str, Any]
    """Column → its fixed JSON value."""
    members: frozenset[str]
    """Every member of the data; one more or less means that this table of rules is out of date."""
    after: frozenset[str]
    """Statuses that it may follow; empty for kinds without a status."""
    items: Items | None = None


def _rule(
    act: Act,
    table: Table,
    takes: str = "",
    *,
    sets: Mapping[str, Any] | None = None,
    spare: str = "",
    after: str = "",
    items: Items | None = None,
) -> Rule:
    """Return a rule that takes the key and what `takes` says: `column`, or `column=member`.

    `spare` names members that fill no column.
    """
    pairs = [word.partition("=") for word in (*table.key, *takes.split())]
    taken = {column: member or column for column, _, member in pairs}
    members = {*taken.values(), *spare.split(), *([items.member] if items else [])}
    fixed = dict(sets or {})
    if act in ("creates", "states") and {*taken, *fixed} != set(table.columns):
        raise ValueError(f"a rule leaves out columns of {table.name}")
    return Rule(act, table, taken, fixed, frozenset(members), frozenset(after.split()), items)


def _state(table: Table, items: Items | None = None, act: Act = "states") -> Rule:
    return _rule(act, table, " ".join(table.columns), items=items)


def _becomes(status: str, table: Table, after: str, takes: str = "", spare: str = "") -> Rule:
    return _rule("changes", table, takes + _NOW, sets={"status": status}, after=after, spare=spare)


def _nothing(columns: str) -> dict[str, Any]:
    return dict.fromkeys(columns.split())


_NOW = " updated_at=at updated_at_ns=at_ns"
_TOTALS = "filled_quantity filled_value average_price fees"
_STEP = "fill_quantity fill_price fill_fee"
_POSITIONS = Items(
    "positions", PORTFOLIO_POSITIONS, frozenset(("portfolio_id", "taken_at", "taken_at_ns"))
)
_UNFILLED = "open partially_filled"

_BARS_RULES = {
    "bar_received": _state(MARKET_BARS, act="creates"),
    "snapshotted": _state(MARKET_BARS),
}
_PORTFOLIO_RULES = {
    "taken": _state(PORTFOLIO_SNAPSHOTS, _POSITIONS, act="creates"),
    "snapshotted": _state(PORTFOLIO_SNAPSHOTS, _POSITIONS),
}
_STRATEGY_RULES = {
    "registered": _rule(
        "creates",
        STRATEGIES,
        "algorithm parameters registered_at=at registered_at_ns=at_ns" + _NOW,
        sets={"status": "registered"},
    ),
    "parameters_changed": _rule(
        "changes", STRATEGIES, "parameters" + _NOW, after="registered paused stopped"
    ),
    "started": _becomes("running", STRATEGIES, "registered paused stopped"),
    "paused": _becomes("paused", STRATEGIES, "running"),
    "stopped": _becomes("stopped", STRATEGIES, "running paused"),
    "removed": _rule("ends", STRATEGIES, _NOW, after="registered stopped"),
    "snapshotted": _state(STRATEGIES),
}
_TRADE_RULES = {
    "opened": _rule(
        "creates",
        TRADES,
        "strategy_id symbol side quantity limit_price opened_at=at opened_at_ns=at_ns" + _NOW,
        sets={"status": "open", "filled_quantity": "0", "filled_value": "0", "fees": "0"}
        | _nothing("average_price exit_price realised_profit closed_at closed_at_ns"),
    ),
    "partially_filled": _becomes("partially_filled", TRADES, _UNFILLED, _TOTALS, spare=_STEP),
    "executed": _becomes("executed", TRADES, _UNFILLED, _TOTALS, spare=_STEP),
    "cancelled": _becomes("cancelled", TRADES, _UNFILLED),
    "closed": _becomes(
        "closed",
        TRADES,
        "executed cancelled",
        "exit_price realised_profit fees closed_at=at closed_at_ns=at_ns",
        spare="exit_fee",
    ),
    "snapshotted": _state(TRADES),
}
_EXECUTION_RULES = {
    "started": _rule(
        "creates",
        STRATEGY_EXECUTIONS,
        "strategy_id symbol bar_opened_at bar_opened_at_ns started_at=at started_at_ns=at_ns"
        + _NOW,
        sets={"status": "started"} | _nothing("signal strength trade_id error"),
    ),
    "signalled": _becomes("signalled", STRATEGY_EXECUTIONS, "started", "signal strength trade_id"),
    "completed": _becomes("completed", STRATEGY_EXECUTIONS, "signalled"),
    "failed": _becomes("failed", STRATEGY_EXECUTIONS, "started signalled", "error"),
    "snapshotted": _state(STRATEGY_EXECUTIONS),
}

RULES: dict[str, Rule] = {
    f"trading.{kind}.{fact}.v1": rule
    for kind, rules in {
        "market_data": _BARS_RULES,
        "strategy": _STRATEGY_RULES,
        "trade": _TRADE_RULES,
        "execution": _EXECUTION_RULES,
        "portfolio": _PORTFOLIO_RULES,
    }.items()
    for fact, rule in rules.items()
}
"""Event type → what it does."""

PLACES: dict[str, dict[str, int]] = {
    table.name: {column: place for place, column in enumerate(table.columns)} for table in TABLES
}
"""Table → column → its place in a row."""
