"""The life of strategies: registered, paused, tuned, stopped, started again; candidates too.

Every step looks at the strategies as they are, so the next makes up for one lost in a crash.
"""

from collections.abc import Callable, Sequence

import msgspec

from compose.trading_app.chance import chance
from compose.trading_app.strategies import StrategyManager
from compose.trading_app.tape import Tick
from schemas.trading.strategies import (
    ParametersChanged,
    StrategyPaused,
    StrategyRegistered,
    StrategyRemoved,
    StrategyStarted,
    StrategyStopped,
)

STAFF: dict[str, tuple[str, dict[str, str]]] = {
    "S-breakout-20": ("breakout", {"window": "20", "every": "4"}),
    "S-breakout-55": ("breakout", {"window": "55", "every": "7"}),
    "S-crossover-5-20": ("moving_average", {"fast": "5", "slow": "20", "every": "5"}),
    "S-crossover-10-50": ("moving_average", {"fast": "10", "slow": "50", "every": "5"}),
    "S-reversion-10": ("mean_reversion", {"window": "10", "threshold": "1.2", "every": "3"}),
    "S-reversion-20": ("mean_reversion", {"window": "20", "threshold": "1.5", "every": "4"}),
}
"""The strategies that trade, from the first tick on."""

_CANDIDATE = "C-"
_CYCLE_TICKS = 400
_CANDIDATE_CYCLE_TICKS = 40


class Lifecycle:
    """Decides over strategies by the tick's place on the tape."""

    def __init__(
        self,
        manager: StrategyManager,
        record: Callable[[Sequence[msgspec.Struct]], None],
        seed: int,
    ) -> None:
        self._manager = manager
        self._record = record
        self._seed = seed
        self._staffed = False
        self._steps = {
            0: self._start_all,
            120: self._pause,
            150: self._tune,
            240: self._stop,
            300: self._start_all,
        }
        self._candidate_steps = {
            10: self._invite_candidate,
            20: self._try_candidates,
            30: self._dismiss_candidates,
        }

    def on_tick(self, tick: Tick) -> None:
        """Do what is due at a tick."""
        if not self._staffed:
            self._hire(tick)
            self._staffed = True
        step = self._candidate_steps.get(tick.ordinal % _CANDIDATE_CYCLE_TICKS)
        if step is not None:
            step(tick)
        step = self._steps.get(tick.ordinal % _CYCLE_TICKS)
        if step is not None:
            step(tick)

    def _hire(self, tick: Tick) -> None:
        for strategy_id, (algorithm, parameters) in STAFF.items():
            if strategy_id not in self._manager.strategies:
                self._record(
                    [StrategyRegistered(strategy_id, algorithm, parameters, tick.at, tick.at_ns)]
                )
        self._start_all(tick)

    def _start_all(self, tick: Tick) -> None:
        for strategy_id in STAFF:
            if self._manager.status(strategy_id) != "running":
                self._record([StrategyStarted(strategy_id, tick.at, tick.at_ns)])

    def _pause(self, tick: Tick) -> None:
        strategy_id = self._chosen("pause", tick)
        if self._manager.status(strategy_id) == "running":
            self._record([StrategyPaused(strategy_id, tick.at, tick.at_ns)])

    def _tune(self, tick: Tick) -> None:
        """Give the paused strategies another rhythm and start them, each in one unit."""
        for strategy in self._manager.with_status("paused"):
            every = str(3 + chance(self._seed, "every", tick.ordinal) % 5)
            parameters = {**strategy.parameters, "every": every}
            now = (tick.at, tick.at_ns)
            self._record(
                [
                    ParametersChanged(strategy.strategy_id, parameters, *now),
                    StrategyStarted(strategy.strategy_id, *now),
                ]
            )

    def _stop(self, tick: Tick) -> None:
        strategy_id = self._chosen("stop", tick)
        if self._manager.status(strategy_id) == "running":
            self._record([StrategyStopped(strategy_id, tick.at, tick.at_ns)])

    def _invite_candidate(self, tick: Tick) -> None:
        every = str(1 + chance(self._seed, "watch", tick.ordinal) % 3)
        strategy_id = f"{_CANDIDATE}{tick.ordinal}"
        self._record(
            [StrategyRegistered(strategy_id, "watch", {"every": every}, tick.at, tick.at_ns)]
        )

    def _try_candidates(self, tick: Tick) -> None:
        """Let every second candidate look on; the others leave as they came."""
        if tick.ordinal // _CANDIDATE_CYCLE_TICKS % 2:
            for strategy_id in self._known_candidates():
                if self._manager.status(strategy_id) == "registered":
                    self._record([StrategyStarted(strategy_id, tick.at, tick.at_ns)])

    def _dismiss_candidates(self, tick: Tick) -> None:
        for strategy_id in self._known_candidates():
            if self._manager.status(strategy_id) == "running":
                self._record([StrategyStopped(strategy_id, tick.at, tick.at_ns)])
            self._record([StrategyRemoved(strategy_id, tick.at, tick.at_ns)])

    def _known_candidates(self) -> list[str]:
        return [s for s in self._manager.strategies if s.startswith(_CANDIDATE)]

    def _chosen(self, why: str, tick: Tick) -> str:
        staff = list(STAFF)
        return staff[chance(self._seed, why, tick.ordinal) % len(staff)]
