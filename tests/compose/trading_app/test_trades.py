from decimal import Decimal

import pytest

from compose.trading_app.desk import Desk
from compose.trading_app.trades import INITIAL_CASH, cash_flow
from schemas.trading.accounts import account_of
from tests.compose.trading_app.trading import trade


def require_reconciled(desk: Desk) -> None:
    """Demand that the cash kept event by event is what the trades say."""
    flows: dict[str, Decimal] = {}
    for one in desk.book.trades.values():
        account = account_of(one.symbol)
        flows[account] = flows.get(account, Decimal(0)) + cash_flow(one)
    for account, cash in desk.book.cash.items():
        assert cash == INITIAL_CASH + flows.get(account, Decimal(0))


def test_cash_reconciles_with_the_trades_after_every_bar() -> None:
    trade(800, multiplicity=2, after_each=require_reconciled)


def test_what_is_derived_while_trading_is_what_a_restart_derives() -> None:
    book = trade(3000, multiplicity=2).desk.book
    live = {symbol: dict(trades) for symbol, trades in book.live.items() if trades}
    cash, last_id = dict(book.cash), book.next_id()

    book.rebuild()

    assert {symbol: dict(trades) for symbol, trades in book.live.items()} == live
    assert dict(book.cash) == cash
    assert book.next_id() == last_id


def test_cash_and_live_trades_follow_from_nothing_else() -> None:
    book = trade(3000).desk.book

    held = [t for t in book.trades.values() if t.status != "closed" and t.filled_quantity]

    for symbol, quantity, average_price in book.positions("main"):
        own = [t for t in held if t.symbol == symbol]
        assert quantity == sum(
            t.filled_quantity if t.side == "buy" else -t.filled_quantity for t in own
        )
        assert average_price > 0


@pytest.mark.parametrize(("symbol", "account"), [("IBM", "main"), ("IBM.12", "main.12")])
def test_each_copy_of_the_market_has_its_account(symbol: str, account: str) -> None:
    assert account_of(symbol) == account
