"""The trading domain's names, as the checker knows them: kinds, tables, columns and keys.

Read off the domain's description and its DDL by hand; a change there must be made here too, by
somebody who thinks about it.
"""

from enum import Enum
from typing import Any, NamedTuple


class Column(Enum):
    """How a JSON value is to be compared with what a column holds."""

    TEXT = "text"
    INTEGER = "bigint"
    DECIMAL = "numeric"
    TIME = "timestamptz"
    JSON = "jsonb"


class Table(NamedTuple):
    """One table: its columns, and which of them are its key."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]


class Kind(NamedTuple):
    """One sort of entity: the members that name it, the first `stream` of which name its stream."""

    key: tuple[str, ...]
    stream: int = 1


def _columns(**names: str) -> dict[str, Column]:
    """Return columns in order: each argument is a type and the names of columns of it."""
    return {
        name: Column[sort.split("_")[0]] for sort, text in names.items() for name in text.split()
    }


MARKET_BARS = Table(
    "market_bars",
    _columns(
        TEXT="symbol", TIME="opened_at", INTEGER="opened_at_ns", DECIMAL="open high low close",
        INTEGER_2="volume",
    ),
    ("symbol", "opened_at"),
)  # fmt: skip
STRATEGIES = Table(
    "strategies",
    _columns(
        TEXT="strategy_id algorithm status", JSON="parameters", TIME="registered_at updated_at",
        INTEGER="registered_at_ns updated_at_ns",
    ),
    ("strategy_id",),
)  # fmt: skip
TRADES = Table(
    "trades",
    _columns(
        TEXT="trade_id strategy_id symbol side status",
        DECIMAL="quantity limit_price filled_quantity filled_value average_price fees exit_price "
        "realised_profit",
        TIME="opened_at updated_at closed_at",
        INTEGER="opened_at_ns updated_at_ns closed_at_ns",
    ),
    ("trade_id",),
)
STRATEGY_EXECUTIONS = Table(
    "strategy_executions",
    _columns(
        TEXT="execution_id strategy_id symbol status signal trade_id error",
        DECIMAL="strength",
        TIME="bar_opened_at started_at updated_at",
        INTEGER="bar_opened_at_ns started_at_ns updated_at_ns",
    ),
    ("execution_id",),
)
PORTFOLIO_SNAPSHOTS = Table(
    "portfolio_snapshots",
    _columns(TEXT="portfolio_id", TIME="taken_at", INTEGER="taken_at_ns", DECIMAL="cash equity"),
    ("portfolio_id", "taken_at"),
)
PORTFOLIO_POSITIONS = Table(
    "portfolio_positions",
    _columns(
        TEXT="portfolio_id symbol",
        TIME="taken_at",
        INTEGER="taken_at_ns",
        DECIMAL="quantity average_price market_price",
    ),
    ("portfolio_id", "taken_at", "symbol"),
)
TABLES = (
    MARKET_BARS,
    STRATEGIES,
    TRADES,
    STRATEGY_EXECUTIONS,
    PORTFOLIO_SNAPSHOTS,
    PORTFOLIO_POSITIONS,
)

KINDS = {
    "market_data": Kind(("symbol", "opened_at")),
    "strategy": Kind(("strategy_id",)),
    "trade": Kind(("trade_id",)),
    "execution": Kind(("execution_id",)),
    "portfolio": Kind(("portfolio_id", "taken_at")),
}


class EntityKey(NamedTuple):
    """One entity: its stream and its own key, which is longer where a stream holds several."""

    stream: str
    key: tuple[str, ...]


def entity_key(kind: str, members: dict[str, Any]) -> EntityKey:
    """Return which entity a state or an event is of; raises KeyError where it does not say."""
    names = KINDS[kind]
    key = tuple([str(members[name]) for name in names.key])
    return EntityKey("/".join((kind, *key[: names.stream])), key)
