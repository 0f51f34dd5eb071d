"""Every business rule of the trading domain has data that breaks it, and data near the edge."""

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.default_rules import rules_of
from schemas.rules import Check, StepCheck
from schemas.trading import DOMAIN
from schemas.trading.executions import ExecutionCompleted, ExecutionFailed
from schemas.trading.portfolio import PortfolioSnapshot, PortfolioTaken, Position
from schemas.trading.strategies import StrategyPaused, StrategyRemoved, StrategyStarted
from tests.projector.audit.levels.given import as_held, as_logged, breaches, results
from tests.schemas.trading.rules.sound import (
    BAR,
    CANCELLED,
    CLOSED,
    COMPLETED,
    DESK,
    EXECUTED,
    EXIT,
    FAILED,
    FILLED,
    HISTORY,
    LAST,
    OPEN,
    OPENED,
    PARTLY,
    PORTFOLIO,
    RECEIVED,
    REGISTERED,
    RUN,
    SOLD,
    STARTED,
    at,
)

CENT = D("0.01")
IBM = PORTFOLIO.positions[0]
TAKEN = PortfolioTaken(*(getattr(PORTFOLIO, name) for name in PORTFOLIO.__struct_fields__))
STARTS = StrategyStarted("S-1", *at(1))


def holding(position: Position) -> PortfolioSnapshot:
    return replace(PORTFOLIO, positions=(position,))


BROKEN: list[tuple[str, Any]] = [
    ("market_data.low_is_lowest", replace(BAR, low=D("10.51"))),
    ("market_data.low_is_lowest", replace(BAR, close=D("9.99"))),
    ("market_data.high_is_highest", replace(BAR, high=D("10.99"))),
    ("trade.fills_within_order", replace(EXECUTED, quantity=D("9.99"))),
    ("trade.fills_fit_status", replace(OPEN, filled_quantity=CENT)),
    ("trade.fills_fit_status", replace(PARTLY, status="executed")),
    ("trade.fills_fit_status", replace(EXECUTED, status="partially_filled")),
    ("trade.fills_fit_status", replace(EXECUTED, status="cancelled")),
    ("trade.fills_fit_status", replace(CLOSED, filled_quantity=D(0))),
    ("trade.within_limit", replace(EXECUTED, limit_price=D("11.29"))),
    ("trade.within_limit", replace(SOLD, limit_price=D("11.31"))),
    ("trade.average_recomputes", replace(EXECUTED, average_price=D("11.30000001"))),
    ("trade.average_recomputes", replace(EXECUTED, average_price=None)),
    ("trade.average_recomputes", replace(OPEN, average_price=D(0))),
    ("trade.nothing_for_nothing", replace(OPEN, fees=CENT)),
    ("trade.nothing_for_nothing", replace(OPEN, filled_value=CENT)),
    ("trade.settled_once_closed", replace(CLOSED, closed_at=None)),
    ("trade.settled_once_closed", replace(EXECUTED, exit_price=D(1))),
    ("trade.profit_recomputes", replace(CLOSED, realised_profit=D("4.76"))),
    ("trade.profit_recomputes", replace(CLOSED, fees=D("2.26"))),
    ("execution.signal_fits_status", replace(STARTED, signal="buy", strength=D(1))),
    ("execution.signal_fits_status", replace(COMPLETED, signal=None)),
    ("execution.signal_fits_status", replace(FAILED, strength=D(1))),
    ("execution.error_once_failed", replace(FAILED, error=None)),
    ("execution.error_once_failed", replace(COMPLETED, error="")),
    ("execution.trade_of_a_signal", replace(COMPLETED, signal="hold")),
    ("portfolio.equity_recomputes", replace(PORTFOLIO, equity=PORTFOLIO.equity + CENT)),
    ("portfolio.one_a_symbol", replace(PORTFOLIO, positions=(IBM, IBM))),
    ("portfolio.positions_are_valued", holding(replace(IBM, market_price=D(0)))),
    ("portfolio.positions_are_valued", holding(replace(IBM, average_price=-CENT))),
]  # fmt: skip

NEAR: list[tuple[str, Any]] = [
    ("market_data.low_is_lowest", replace(BAR, low=D("10.5"))),
    ("market_data.high_is_highest", replace(BAR, high=D("11"))),
    ("trade.fills_within_order", EXECUTED),
    ("trade.fills_fit_status", OPEN),
    ("trade.fills_fit_status", PARTLY),
    ("trade.fills_fit_status", CANCELLED),
    ("trade.fills_fit_status", replace(OPEN, status="cancelled")),
    ("trade.fills_fit_status", CLOSED),
    ("trade.within_limit", replace(EXECUTED, limit_price=D("11.3"))),
    ("trade.within_limit", SOLD),
    ("trade.average_recomputes", replace(EXECUTED, average_price=D("11.3"))),
    ("trade.average_recomputes", OPEN),
    ("trade.nothing_for_nothing", OPEN),
    ("trade.nothing_for_nothing", replace(EXECUTED, fees=D(0))),
    ("trade.settled_once_closed", CLOSED),
    ("trade.settled_once_closed", EXECUTED),
    ("trade.profit_recomputes", CLOSED),
    ("trade.profit_recomputes", replace(CLOSED, side="sell", realised_profit=D("-9.25"))),
    ("execution.signal_fits_status", STARTED),
    ("execution.signal_fits_status", replace(COMPLETED, status="failed")),
    ("execution.error_once_failed", replace(FAILED, error="")),
    ("execution.trade_of_a_signal", replace(COMPLETED, signal="hold", trade_id=None)),
    ("execution.trade_of_a_signal", replace(COMPLETED, trade_id=None)),
    ("portfolio.equity_recomputes", replace(PORTFOLIO, equity=D("1110.2500"))),
    ("portfolio.equity_recomputes", replace(PORTFOLIO, positions=(), equity=D("1000.25"))),
    ("portfolio.one_a_symbol", replace(PORTFOLIO, positions=(IBM, replace(IBM, symbol="IBN")))),
    ("portfolio.positions_are_valued", holding(Position("IBM", D(-1), D(0), CENT))),
]  # fmt: skip

STEPS_BROKEN: list[tuple[str, Sequence[Any]]] = [
    ("trade.fees_recompute", [OPENED, replace(FILLED, fees=D("0.51"))]),
    ("trade.fees_recompute", [OPENED, FILLED, replace(LAST, fees=D("0.75"))]),
    ("trade.fees_recompute", [OPENED, FILLED, LAST, replace(EXIT, fees=D("1.25"))]),
    ("trade.fill_adds_up", [OPENED, FILLED, replace(LAST, filled_quantity=D(6))]),
    ("trade.fill_adds_up", [OPENED, FILLED, replace(LAST, filled_value=D("113.01"))]),
    ("market_data.steps", [RECEIVED, RECEIVED]),
    ("strategy.steps", [REGISTERED, StrategyPaused("S-1", *at(1))]),
    ("strategy.steps", [REGISTERED, STARTS, StrategyRemoved("S-1", *at(2))]),
    ("trade.steps", [OPENED, EXIT]),
    ("trade.steps", [FILLED]),
    ("trade.steps", [OPENED, OPENED]),
    ("trade.steps", [OPENED, replace(FILLED, fill_price=D("11.51"))]),
    ("execution.steps", [RUN, ExecutionCompleted("E-1", *at(6))]),
    ("execution.steps", [RUN, ExecutionFailed("E-1", "late", *at(4))]),
    ("portfolio.steps", [TAKEN, TAKEN]),
    ("portfolio.steps", [replace(TAKEN, equity=D(0))]),
]  # fmt: skip

STEPS_NEAR: list[tuple[str, Sequence[Any]]] = [
    ("trade.fees_recompute", HISTORY),
    ("trade.fill_adds_up", HISTORY),
    ("market_data.steps", [RECEIVED, replace(RECEIVED, opened_at=at(1)[0], opened_at_ns=at(1)[1])]),
    ("strategy.steps", [REGISTERED, StrategyStarted("S-1", *at(0)), StrategyPaused("S-1", *at(0))]),
    ("strategy.steps", [REGISTERED, StrategyRemoved("S-1", *at(1)), REGISTERED]),
    ("trade.steps", HISTORY),
    ("execution.steps", [RUN, ExecutionFailed("E-1", "late", *at(5))]),
    ("portfolio.steps", [TAKEN]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "entity"), BROKEN)
def test_an_entity_breaks_a_rule(rule: str, entity: Any) -> None:
    found = breaches(DOMAIN, as_held(DOMAIN, [entity]), "business")

    assert found[rule].count == 1
    assert found[rule].observed
    assert found[rule].expected
    assert found[rule].next.startswith("memferry audit bisect --table ")


@pytest.mark.parametrize(("rule", "entity"), NEAR)
def test_an_entity_at_the_edge_does_not(rule: str, entity: Any) -> None:
    assert rule not in breaches(DOMAIN, as_held(DOMAIN, [entity]), "business")


@pytest.mark.parametrize(("rule", "events"), STEPS_BROKEN)
def test_a_step_breaks_a_rule(rule: str, events: Sequence[Any]) -> None:
    found = breaches(DOMAIN, as_logged(DOMAIN, events), "business")

    assert found[rule].count == 1
    assert "partition 0, offset" in found[rule].rows[0]


@pytest.mark.parametrize(("rule", "events"), STEPS_NEAR)
def test_a_step_at_the_edge_does_not(rule: str, events: Sequence[Any]) -> None:
    assert rule not in breaches(DOMAIN, as_logged(DOMAIN, events), "business")


def test_every_business_rule_has_both() -> None:
    checked = set(results(DOMAIN, [], "business")["business"].rules) - {"book.balances"}

    assert {rule for rule, _ in [*BROKEN, *STEPS_BROKEN]} == checked
    assert {rule for rule, _ in [*NEAR, *STEPS_NEAR]} == checked
    assert checked > {rule.name for rule in rules_of(DOMAIN).of((Check, StepCheck))}


def test_a_sound_desk_breaks_none() -> None:
    assert breaches(DOMAIN, as_held(DOMAIN, DESK)) == {}
    assert breaches(DOMAIN, as_logged(DOMAIN, HISTORY)) == {}


def test_what_a_step_made_must_be_what_followed() -> None:
    records = list(as_logged(DOMAIN, [OPENED, FILLED]))
    records[1] = records[1]._replace(entity=replace(PARTLY, fees=D("0.4")))

    found = breaches(DOMAIN, records, "business")

    assert found["trade.steps"].observed == "fees 0.4"
    assert found["trade.steps"].expected == "fees 0.5"


def test_an_unbalanced_portfolio_vetoes() -> None:
    wrong = replace(PORTFOLIO, equity=D(0))

    assert breaches(DOMAIN, as_held(DOMAIN, [wrong]))["portfolio.equity_recomputes"].veto
