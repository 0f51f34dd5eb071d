"""The trading domain: market data, strategies, trades, strategy executions, portfolios."""

from importlib import resources

from schemas.domain import Domain
from schemas.trading import executions, market_data, portfolio, strategies, trades
from schemas.trading.rules import RULES

_DDL_FILES = (
    "market_bars.sql",
    "strategies.sql",
    "trades.sql",
    "strategy_executions.sql",
    "portfolio_snapshots.sql",
    "portfolio_positions.sql",
    "latest_quotes.sql",
    "open_positions.sql",
    "profit_by_strategy_and_day.sql",
)
"""Tables before the views that read them."""


def _ddl() -> str:
    folder = resources.files(__name__) / "tables"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _DDL_FILES)


DOMAIN = Domain(
    name="trading",
    kinds=(market_data.KIND, strategies.KIND, trades.KIND, executions.KIND, portfolio.KIND),
    ddl=_ddl(),
    rules=RULES,
)
