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
    """creates: the row is new; states: it is what it says, new or not; changes, ends: it is there."""
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
    same: str = "",
    *,
    sets: Mapping[str, Any] | None = None,
    spare: str = "",
    after: str = "",
    items: Items | None = None,
    **takes: str,
) -> Rule:
    """Return a rule; `same` names columns filled from members of the same name, `spare` members
    that fill none."""
    columns = dict.fromkeys(table.key, "") | dict.fromkeys(same.split(), "")
    taken = {column: takes.get(column, column) for column in columns} | takes
    members = {*taken.values(), *spare.split(), *([items.member] if items else [])}
    fixed = dict(sets or {})
    if act in ("creates", "states") and {*taken, *fixed} != set(table.columns):
        raise ValueError(f"a rule leaves out columns of {table.name}")
    return Rule(act, table, taken, fixed, frozenset(members), frozenset(after.split()), items)


def _state(table: Table, items: Items | None = None, act: Act = "states") -> Rule:
    return _rule(act, table, " ".join(table.columns), items=items)


_POSITIONS = Items("positions", PORTFOLIO_POSITIONS, frozenset(("portfolio_id", "taken_at")))
_MOMENT = {"updated_at": "at", "updated_at_ns": "at_ns"}
_FILL = {
    "same": "filled_quantity filled_value average_price fees",
    "spare": "fill_quantity fill_price fill_fee",
    "after": "open partially_filled",
}


def _nothing(columns: str) -> dict[str, Any]:
    return dict.fromkeys(columns.split())


_TRADE = "trading.trade."
_STRATEGY = "trading.strategy."
_EXECUTION = "trading.execution."

RULES: dict[str, Rule] = {
    "trading.market_data.bar_received.v1": _state(MARKET_BARS, act="creates"),
    "trading.market_data.snapshotted.v1": _state(MARKET_BARS),
    "trading.portfolio.taken.v1": _state(PORTFOLIO_SNAPSHOTS, _POSITIONS, act="creates"),
    "trading.portfolio.snapshotted.v1": _state(PORTFOLIO_SNAPSHOTS, _POSITIONS),
    _STRATEGY + "registered.v1": _rule(
        "creates", STRATEGIES, "algorithm parameters", sets={"status": "registered"},
        registered_at="at", registered_at_ns="at_ns", **_MOMENT,
    ),
    _STRATEGY + "parameters_changed.v1": _rule(
        "changes", STRATEGIES, "parameters", after="registered paused stopped", **_MOMENT
    ),
    _STRATEGY + "started.v1": _rule(
        "changes", STRATEGIES, sets={"status": "running"}, after="registered paused stopped",
        **_MOMENT,
    ),
    _STRATEGY + "paused.v1": _rule(
        "changes", STRATEGIES, sets={"status": "paused"}, after="running", **_MOMENT
    ),
    _STRATEGY + "stopped.v1": _rule(
        "changes", STRATEGIES, sets={"status": "stopped"}, after="running paused", **_MOMENT
    ),
    _STRATEGY + "removed.v1": _rule("ends", STRATEGIES, after="registered stopped", **_MOMENT),
    _STRATEGY + "snapshotted.v1": _state(STRATEGIES),
    _TRADE + "opened.v1": _rule(
        "creates", TRADES, "strategy_id symbol side quantity limit_price",
        sets={
            "status": "open", "filled_quantity": "0", "filled_value": "0", "fees": "0",
            **_nothing("average_price exit_price realised_profit closed_at closed_at_ns"),
        },
        opened_at="at", opened_at_ns="at_ns", **_MOMENT,
    ),
    _TRADE + "partially_filled.v1": _rule(
        "changes", TRADES, sets={"status": "partially_filled"}, **_FILL, **_MOMENT
    ),
    _TRADE + "executed.v1": _rule(
        "changes", TRADES, sets={"status": "executed"}, **_FILL, **_MOMENT
    ),
    _TRADE + "cancelled.v1": _rule(
        "changes", TRADES, sets={"status": "cancelled"}, after="open partially_filled", **_MOMENT
    ),
    _TRADE + "closed.v1": _rule(
        "changes", TRADES, "exit_price realised_profit fees", sets={"status": "closed"},
        spare="exit_fee", after="executed cancelled", closed_at="at", closed_at_ns="at_ns",
        **_MOMENT,
    ),
    _TRADE + "snapshotted.v1": _state(TRADES),
    _EXECUTION + "started.v1": _rule(
        "creates", STRATEGY_EXECUTIONS, "strategy_id symbol bar_opened_at bar_opened_at_ns",
        sets={"status": "started", **_nothing("signal strength trade_id error")},
        started_at="at", started_at_ns="at_ns", **_MOMENT,
    ),
    _EXECUTION + "signalled.v1": _rule(
        "changes", STRATEGY_EXECUTIONS, "signal strength trade_id", sets={"status": "signalled"},
        after="started", **_MOMENT,
    ),
    _EXECUTION + "completed.v1": _rule(
        "changes", STRATEGY_EXECUTIONS, sets={"status": "completed"}, after="signalled", **_MOMENT
    ),
    _EXECUTION + "failed.v1": _rule(
        "changes", STRATEGY_EXECUTIONS, "error", sets={"status": "failed"},
        after="started signalled", **_MOMENT,
    ),
    _EXECUTION + "snapshotted.v1": _state(STRATEGY_EXECUTIONS),
}  # fmt: skip

PLACES: dict[str, dict[str, int]] = {
    table.name: {column: place for place, column in enumerate(table.columns)} for table in TABLES
}
"""Table → column → its place in a row."""
