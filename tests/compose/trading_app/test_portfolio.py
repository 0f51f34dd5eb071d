from compose.trading_app.desk import Desk
from compose.trading_app.trades import INITIAL_CASH
from schemas.trading.portfolio import equity
from tests.compose.trading_app.trading import trade


def test_a_portfolio_holds_what_the_live_trades_hold_at_the_newest_prices() -> None:
    desk = trade(3000).desk

    positions = desk.portfolios.positions("main")

    assert positions
    assert {p.symbol: p.quantity for p in positions} == {
        symbol: quantity for symbol, quantity, _ in desk.book.positions("main")
    }
    assert all(p.market_price == desk.market.price(p.symbol) for p in positions)


def test_the_equity_of_all_accounts_is_the_sum_of_theirs() -> None:
    desk = trade(3000, multiplicity=3).desk

    worth = [
        equity(cash, desk.portfolios.positions(account)) for account, cash in desk.book.cash.items()
    ]

    assert len(worth) == 3
    assert desk.portfolios.equity() == sum(worth)


def test_before_any_trade_the_equity_is_the_initial_cash() -> None:
    assert Desk().portfolios.equity() == INITIAL_CASH
