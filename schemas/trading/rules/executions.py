"""What must hold of strategy executions: each has the signal, trade and error of its status."""

from schemas.rules import (
    Ascending,
    Check,
    Content,
    InOrder,
    Measured,
    Precision,
    Range,
    Reference,
    Rule,
    Timed,
    Wrong,
)
from schemas.trading.executions import Execution

_STRENGTH_PLACES = 8


def _signal_fits_status(execution: Execution) -> Wrong | None:
    given = (execution.signal is not None, execution.strength is not None)
    expected = {
        "started": ((False, False),),
        "signalled": ((True, True),),
        "completed": ((True, True),),
        "failed": ((False, False), (True, True)),
    }[execution.status]
    if given in expected:
        return None
    said = f"{execution.status}, signal {execution.signal}, strength {execution.strength}"
    return said, "signal and strength once signalled, and not before"


def _error_once_failed(execution: Execution) -> Wrong | None:
    if (execution.error is not None) is (execution.status == "failed"):
        return None
    return f"{execution.status}, error {execution.error!r}", "an error where it failed, only there"


def _trade_of_a_signal(execution: Execution) -> Wrong | None:
    if execution.trade_id is None or execution.signal in ("buy", "sell"):
        return None
    return f"signal {execution.signal}, trade {execution.trade_id}", "a trade for buy and sell only"


def _unfinished(execution: Execution) -> bool:
    return execution.status in ("started", "signalled")


RULES: tuple[Rule, ...] = (
    Range("execution", "strength", at_least=0, at_most=1),
    Precision("execution", "strength", places=_STRENGTH_PLACES),
    Ascending("execution", ("bar_opened_at_ns", "started_at_ns", "updated_at_ns")),
    InOrder("execution", "updated_at_ns"),
    Check("signal_fits_status", "execution", "signal and status do not fit", _signal_fits_status),
    Check("error_once_failed", "execution", "error and status do not fit", _error_once_failed),
    Check("trade_of_a_signal", "execution", "a trade without its signal", _trade_of_a_signal),
    Reference("execution", "strategy_id", "strategy", outlives=True, present_while=_unfinished),
    Reference("execution", "trade_id", "trade", same=("strategy_id", "symbol"), veto=True),
    Reference("execution", ("symbol", "bar_opened_at"), "market_data"),
    Measured("execution", "strength"),
    Timed("execution", "started_at"),
    Content("execution", ("strategy_id", "symbol", "bar_opened_at_ns")),
)
