from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.domain import TransitionRefused
from schemas.trading.portfolio import (
    KIND,
    PortfolioSnapshotted,
    PortfolioTaken,
    Position,
    equity,
    evolve,
)
from tests.schemas.trading.histories import (
    Clock,
    amounts,
    identifiers,
    require_agreement,
    time_of,
)

IBM = Position("IBM", Decimal(10), Decimal(100), Decimal(110))
OWED = Position("FB", Decimal(-2), Decimal(30), Decimal(25))
TAKEN = PortfolioTaken("main", time_of(5_000), 5_000, Decimal(500), Decimal(1550), (IBM, OWED))

signed = st.decimals("-1000000", "1000000", places=4)


@st.composite
def histories(draw: Any) -> list[PortfolioTaken]:
    clock = Clock(draw)
    history = []
    for _ in range(draw(st.integers(0, 6))):
        symbols = draw(st.sets(identifiers))
        positions = tuple(
            Position(symbol, draw(signed), draw(amounts), draw(amounts)) for symbol in symbols
        )
        cash = draw(signed)
        moment = clock.tick(1000)
        history.append(
            PortfolioTaken(draw(identifiers), *moment, cash, equity(cash, positions), positions)
        )
    return history


@given(histories())
def test_portfolios_and_rows_agree_over_every_history(history: list[PortfolioTaken]) -> None:
    require_agreement(KIND, history)


def test_a_second_snapshot_of_the_same_moment_is_refused() -> None:
    taken = evolve(None, TAKEN)

    with pytest.raises(TransitionRefused, match="portfolio/main is taken already"):
        evolve(taken, TAKEN)


def test_a_taken_portfolio_cannot_be_replaced_by_another() -> None:
    taken = evolve(None, TAKEN)
    other = PortfolioSnapshotted("main", time_of(5_000), 5_000, Decimal(1), Decimal(1), ())

    with pytest.raises(TransitionRefused):
        evolve(taken, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"equity": Decimal("1549.99")},
        {"cash": Decimal(501)},
        {"positions": (IBM, IBM), "equity": Decimal(2700)},
        {"positions": (replace(IBM, market_price=Decimal(0)),), "equity": Decimal(500)},
        {"taken_at": time_of(5_000).replace(year=2200)},
    ],
    ids=["equity", "cash", "a symbol twice", "no price", "no month"],
)
def test_values_that_do_not_agree_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TransitionRefused, match="portfolio/main is ") as refused:
        evolve(None, replace(TAKEN, **wrong))

    assert refused.value.remedy
