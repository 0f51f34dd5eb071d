"""What must hold of portfolio snapshots by themselves; with the trades, `book` looks at them."""

from schemas.rules import (
    Check,
    InOrder,
    Measured,
    Precision,
    Rule,
    Timed,
    Wrong,
)
from schemas.trading.money import ZERO
from schemas.trading.portfolio import PortfolioSnapshot, equity

_CASH_PLACES = 16


def _equity_recomputes(portfolio: PortfolioSnapshot) -> Wrong | None:
    worth = equity(portfolio.cash, portfolio.positions)
    if portfolio.equity == worth:
        return None
    return f"equity {portfolio.equity}", f"{worth}, of cash and positions"


def _one_a_symbol(portfolio: PortfolioSnapshot) -> Wrong | None:
    symbols = [position.symbol for position in portfolio.positions]
    if len(set(symbols)) == len(symbols):
        return None
    return f"positions in {', '.join(sorted(symbols))}", "one a symbol"


def _positions_are_valued(portfolio: PortfolioSnapshot) -> Wrong | None:
    for held in portfolio.positions:
        if held.average_price < ZERO or held.market_price <= ZERO:
            prices = f"{held.symbol} at {held.market_price}, for {held.average_price}"
            return prices, "a market price above 0, an average price not below"
    return None


RULES: tuple[Rule, ...] = (
    Precision("portfolio", "cash", places=_CASH_PLACES),
    InOrder("portfolio", "taken_at_ns"),
    Check(
        "equity_recomputes", "portfolio", "the equity is not that of cash and positions",
        _equity_recomputes, veto=True,
    ),
    Check("one_a_symbol", "portfolio", "a symbol is held twice", _one_a_symbol),
    Check(
        "positions_are_valued", "portfolio", "a position has no price", _positions_are_valued
    ),
    Measured("portfolio", "cash", group_by="portfolio_id"),
    Measured("portfolio", "equity", group_by="portfolio_id"),
    Timed("portfolio", "taken_at", per="portfolio_id"),
)  # fmt: skip
