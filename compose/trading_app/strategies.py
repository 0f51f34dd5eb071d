"""The strategies the app has, and those that run, ready to be asked."""

from collections.abc import Mapping
from typing import NamedTuple

from compose.trading_app.algorithms import ALGORITHMS, Algorithm
from schemas.trading.strategies import Strategy, StrategyEvent


class Plan(NamedTuple):
    """A running strategy: what it does, and every how many bars of a symbol."""

    strategy_id: str
    algorithm: Algorithm
    every: int
    offset: int
    """Spreads strategies of the same rhythm over the bars."""


class StrategyManager:
    """Strategies by id; `plans` are those that run, and follow from them alone."""

    def __init__(self) -> None:
        self.strategies: dict[str, Strategy] = {}
        self.plans: list[Plan] = []

    def follow(self, _event: StrategyEvent) -> None:
        """Bring `plans` up to date after a recorded event."""
        self.rebuild()

    def rebuild(self) -> None:
        """Derive `plans` from the strategies."""
        self.plans = [_plan(strategy) for strategy in self.with_status("running")]

    def status(self, strategy_id: str) -> str | None:
        """Return a strategy's status, None where it is not known."""
        strategy = self.strategies.get(strategy_id)
        return strategy.status if strategy else None

    def with_status(self, status: str) -> list[Strategy]:
        """Return the strategies of one status, by id."""
        found = [s for s in self.strategies.values() if s.status == status]
        return sorted(found, key=lambda strategy: strategy.strategy_id)


def _plan(strategy: Strategy) -> Plan:
    parameters: Mapping[str, str] = strategy.parameters
    every = int(parameters["every"])
    offset = sum(strategy.strategy_id.encode()) % every
    return Plan(strategy.strategy_id, ALGORITHMS[strategy.algorithm](parameters), every, offset)
