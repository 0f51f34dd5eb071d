"""Every reference of the trading domain has data that breaks it, and data near the edge."""

from typing import Any

import pytest
from msgspec.structs import replace

from projector.audit.levels import known_keys
from schemas.default_rules import rules_of
from schemas.rules import Reference
from schemas.trading import DOMAIN
from schemas.trading.executions import ExecutionFailed
from schemas.trading.strategies import StrategyRegistered, StrategyRemoved
from tests.projector.audit.levels.given import as_held, as_logged, breaches, results
from tests.schemas.trading.rules.sound import (
    BAR,
    CANCELLED,
    COMPLETED,
    DESK,
    EXECUTED,
    FAILED,
    OPENED,
    RECEIVED,
    REGISTERED,
    RUN,
    STARTED,
    STRATEGY,
    at,
)

LATER = replace(BAR, opened_at=at(60)[0], opened_at_ns=at(60)[1])

BROKEN: list[tuple[str, list[Any]]] = [
    ("trade.strategy_id.refers_to_strategy", [STRATEGY, replace(EXECUTED, strategy_id="S-2")]),
    ("execution.strategy_id.refers_to_strategy", [STRATEGY, replace(STARTED, strategy_id="S-2")]),
    ("execution.trade_id.refers_to_trade", [EXECUTED, replace(COMPLETED, trade_id="T-2")]),
    ("execution.trade_id.refers_to_trade.same", [EXECUTED, replace(COMPLETED, symbol="AAPL")]),
    ("execution.trade_id.refers_to_trade.same", [EXECUTED, replace(COMPLETED, strategy_id="S-2")]),
    (
        "execution.symbol_bar_opened_at.refers_to_market_data",
        [BAR, LATER, replace(STARTED, bar_opened_at=at(30)[0])],
    ),
    (
        "execution.symbol_bar_opened_at.refers_to_market_data",
        [BAR, replace(STARTED, bar_opened_at=at(60)[0])],
    ),
    (
        "execution.symbol_bar_opened_at.refers_to_market_data",
        [BAR, replace(STARTED, symbol="AAPL")],
    ),
]
NEAR: list[tuple[str, list[Any]]] = [
    ("trade.strategy_id.refers_to_strategy", [EXECUTED, STRATEGY]),
    ("execution.strategy_id.refers_to_strategy", [STRATEGY, replace(FAILED, strategy_id="S-2")]),
    ("execution.strategy_id.refers_to_strategy", [STRATEGY, STARTED]),
    ("execution.trade_id.refers_to_trade", [EXECUTED, COMPLETED, STARTED]),
    ("execution.trade_id.refers_to_trade.same", [CANCELLED, COMPLETED]),
    ("execution.symbol_bar_opened_at.refers_to_market_data", [BAR, STARTED]),
    ("execution.symbol_bar_opened_at.refers_to_market_data", [LATER, STARTED]),  # evicted
]


@pytest.mark.parametrize(("rule", "entities"), BROKEN)
def test_a_reference_is_lost(rule: str, entities: list[Any]) -> None:
    found = breaches(DOMAIN, as_held(DOMAIN, entities), "cross_reference")

    assert found[rule].count == 1
    assert found[rule].observed
    assert found[rule].next.startswith("memferry audit bisect --table ")


@pytest.mark.parametrize(("rule", "entities"), NEAR)
def test_a_reference_is_there(rule: str, entities: list[Any]) -> None:
    assert rule not in breaches(DOMAIN, as_held(DOMAIN, entities), "cross_reference")


def test_every_reference_has_both() -> None:
    names = {rule.name for rule in rules_of(DOMAIN).of(Reference)}

    assert {rule.removesuffix(".same") for rule, _ in BROKEN} == names
    assert {rule.removesuffix(".same") for rule, _ in NEAR} == names


def test_a_lost_trade_or_strategy_closes_the_gate() -> None:
    lost = [replace(STRATEGY, strategy_id="S-9"), BAR, EXECUTED, replace(COMPLETED, trade_id="T-9")]

    found = breaches(DOMAIN, as_held(DOMAIN, lost), "cross_reference")

    assert found["trade.strategy_id.refers_to_strategy"].veto
    assert found["trade.strategy_id.refers_to_strategy"].next == (
        "memferry audit bisect --table strategies --key S-1"
    )
    assert found["execution.trade_id.refers_to_trade"].veto


def test_keys_that_memory_has_no_room_for_are_found_on_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_keys, "MEMORY_KEYS", 1)

    assert breaches(DOMAIN, as_held(DOMAIN, DESK), "cross_reference") == {}
    for rule, entities in BROKEN:
        assert rule in breaches(DOMAIN, as_held(DOMAIN, entities), "cross_reference")


@pytest.mark.parametrize("backwards", [False, True])
def test_a_reference_is_found_whatever_comes_first(backwards: bool) -> None:
    records = list(as_held(DOMAIN, DESK))

    assert breaches(DOMAIN, reversed(records) if backwards else records) == {}


def test_the_log_shows_what_was_there_once() -> None:
    removed = [RECEIVED, REGISTERED, StrategyRemoved("S-1", *at(2)), RUN]
    never = [RECEIVED, StrategyRegistered("S-9", "breakout", {}, *at(0)), RUN]

    assert breaches(DOMAIN, as_logged(DOMAIN, removed), "cross_reference") == {}
    for events in (never, [*never, ExecutionFailed("E-1", "no price", *at(6))]):
        found = breaches(DOMAIN, as_logged(DOMAIN, events), "cross_reference")
        assert "execution.strategy_id.refers_to_strategy" in found


def test_what_may_have_ended_is_said_to_be_left_out_where_there_is_no_log() -> None:
    ended = replace(COMPLETED, strategy_id="S-gone", trade_id=None)

    result = results(DOMAIN, as_held(DOMAIN, [STRATEGY, BAR, ended]))["cross_reference"]

    assert result.breaches == []
    assert any("1 of which the strategy may have ended" in note for note in result.skipped)


def test_nothing_is_asked_of_kinds_that_were_not_looked_at() -> None:
    result = results(DOMAIN, as_logged(DOMAIN, [OPENED]), "cross_reference")["cross_reference"]

    assert result.breaches == []
    assert "trade.strategy_id.refers_to_strategy: no strategy was looked at" in result.skipped
