"""The trading domain's rules, by kind, for all levels of validation."""

from schemas.rules import Reconcile, Rules
from schemas.trading.rules import executions, market_data, portfolio, strategies, trades
from schemas.trading.rules.book import Book

BALANCED = Reconcile(
    "book.balances",
    ("trade", "portfolio"),
    "cash or a position does not follow from the trades",
    Book,
)
RULES = Rules(
    (
        *market_data.RULES,
        *strategies.RULES,
        *trades.RULES,
        *executions.RULES,
        *portfolio.RULES,
        BALANCED,
    )
)
