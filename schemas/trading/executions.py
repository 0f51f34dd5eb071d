"""Strategy executions: one run of one strategy over one bar, and what came of it.

started ──► signalled ──► completed
   │            │
   └────────────┴──► failed
"""

from decimal import Decimal
from typing import Literal, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import astuple, replace

from schemas.domain import Kind
from schemas.tables import Change, Insert, Patch, Table, Upsert
from schemas.trading.one_row import rows_in, snapshot_as
from schemas.trading.refusal import refusal
from schemas.trading.values import Identifier, Nanoseconds, Text, UtcTime

Status: TypeAlias = Literal["started", "signalled", "completed", "failed"]
Signal: TypeAlias = Literal["buy", "sell", "hold"]


class _Execution(Struct, frozen=True, gc=False):
    execution_id: Identifier
    strategy_id: Identifier
    symbol: Identifier
    bar_opened_at: UtcTime
    bar_opened_at_ns: Nanoseconds
    status: Status
    signal: Signal | None
    strength: Decimal | None
    """How sure the strategy is, from 0 to 1."""
    trade_id: Identifier | None
    """The trade that the signal opened or closed, where it did."""
    error: Text | None
    started_at: UtcTime
    started_at_ns: Nanoseconds
    updated_at: UtcTime
    updated_at_ns: Nanoseconds


class Execution(_Execution, frozen=True, gc=False):
    """One run of one strategy over one bar."""


class ExecutionSnapshotted(_Execution, frozen=True, gc=False):
    """An execution was in memory."""


class ExecutionStarted(Struct, frozen=True, gc=False):
    """A strategy began to look at a bar."""

    execution_id: Identifier
    strategy_id: Identifier
    symbol: Identifier
    bar_opened_at: UtcTime
    bar_opened_at_ns: Nanoseconds
    at: UtcTime
    at_ns: Nanoseconds


class ExecutionSignalled(Struct, frozen=True, gc=False):
    """A strategy said what it wants done."""

    execution_id: Identifier
    signal: Signal
    strength: Decimal
    trade_id: Identifier | None
    at: UtcTime
    at_ns: Nanoseconds


class ExecutionCompleted(Struct, frozen=True, gc=False):
    """What a strategy wanted was done."""

    execution_id: Identifier
    at: UtcTime
    at_ns: Nanoseconds


class ExecutionFailed(Struct, frozen=True, gc=False):
    """A run came to nothing."""

    execution_id: Identifier
    error: Text
    at: UtcTime
    at_ns: Nanoseconds


ExecutionEvent: TypeAlias = (
    ExecutionStarted
    | ExecutionSignalled
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionSnapshotted
)

STRATEGY_EXECUTIONS = Table(
    "strategy_executions", columns=Execution.__struct_fields__, key=("execution_id",)
)

_MAY_SIGNAL: tuple[Status, ...] = ("started",)
_MAY_COMPLETE: tuple[Status, ...] = ("signalled",)
_MAY_FAIL: tuple[Status, ...] = ("started", "signalled")
_LEAST = Decimal(0)
_MOST = Decimal(1)


def evolve(execution: Execution | None, event: ExecutionEvent) -> Execution:
    """Return the execution after an event; raises TransitionRefused."""
    match event:
        case ExecutionStarted():
            if execution is not None:
                remedy = "start a run under an id never used before"
                raise refusal(_stream(event), execution.status, event, remedy)
            return _started(event)
        case ExecutionSignalled(signal=signal, strength=strength):
            _require_strength(event, strength)
            present = _present(execution, event, _MAY_SIGNAL)
            return replace(
                present, status="signalled", signal=signal, strength=strength,
                trade_id=event.trade_id, updated_at=event.at, updated_at_ns=event.at_ns,
            )  # fmt: skip
        case ExecutionCompleted(at=at, at_ns=at_ns):
            present = _present(execution, event, _MAY_COMPLETE)
            return replace(present, status="completed", updated_at=at, updated_at_ns=at_ns)
        case ExecutionFailed(error=error, at=at, at_ns=at_ns):
            present = _present(execution, event, _MAY_FAIL)
            return replace(
                present, status="failed", error=error, updated_at=at, updated_at_ns=at_ns
            )
        case ExecutionSnapshotted():
            _require_strength(event, event.strength)
            return Execution(*astuple(event))
        case _:
            assert_never(event)


def _started(event: ExecutionStarted) -> Execution:
    return Execution(
        event.execution_id, event.strategy_id, event.symbol, event.bar_opened_at,
        event.bar_opened_at_ns, "started", None, None, None, None, event.at, event.at_ns, event.at,
        event.at_ns,
    )  # fmt: skip


def _present(
    execution: Execution | None,
    event: ExecutionSignalled | ExecutionCompleted | ExecutionFailed,
    allowed: tuple[Status, ...],
) -> Execution:
    """Return the execution where its state allows the event and the event is not from before it."""
    if execution is None:
        raise refusal(_stream(event), "not known", event, "start the execution first")
    if execution.status not in allowed:
        remedy = f"this follows only: {', '.join(allowed)}"
        raise refusal(_stream(event), execution.status, event, remedy)
    if event.at_ns < execution.updated_at_ns:
        remedy = f"{event.at_ns} ns is earlier: record events in the order of their times"
        raise refusal(_stream(event), f"at {execution.updated_at_ns} ns", event, remedy)
    return execution


def _require_strength(event: ExecutionEvent, strength: Decimal | None) -> None:
    if strength is not None and not _LEAST <= strength <= _MOST:
        remedy = "give a signal a strength from 0 to 1"
        raise refusal(_stream(event), f"signalled with a strength of {strength}", event, remedy)


def _stream(event: ExecutionEvent) -> str:
    return f"execution/{event.execution_id}"


def project(event: ExecutionEvent) -> tuple[Change, ...]:
    """Return what an event does to the tables."""
    match event:
        case ExecutionStarted():
            return (Insert(STRATEGY_EXECUTIONS, astuple(_started(event))),)
        case ExecutionSignalled():
            changes = {
                "status": "signalled",
                "signal": event.signal,
                "strength": event.strength,
                "trade_id": event.trade_id,
                "updated_at": event.at,
                "updated_at_ns": event.at_ns,
            }
        case ExecutionCompleted():
            changes = {
                "status": "completed",
                "updated_at": event.at,
                "updated_at_ns": event.at_ns,
            }
        case ExecutionFailed():
            changes = {
                "status": "failed",
                "error": event.error,
                "updated_at": event.at,
                "updated_at_ns": event.at_ns,
            }
        case ExecutionSnapshotted():
            return (Upsert(STRATEGY_EXECUTIONS, astuple(event)),)
        case _:
            assert_never(event)
    return (Patch(STRATEGY_EXECUTIONS, (event.execution_id,), changes),)


rows = rows_in(STRATEGY_EXECUTIONS)
snapshot = snapshot_as(ExecutionSnapshotted)

KIND = Kind(
    name="execution",
    entity=Execution,
    events={
        "trading.execution.started.v1": ExecutionStarted,
        "trading.execution.signalled.v1": ExecutionSignalled,
        "trading.execution.completed.v1": ExecutionCompleted,
        "trading.execution.failed.v1": ExecutionFailed,
        "trading.execution.snapshotted.v1": ExecutionSnapshotted,
    },
    key=("execution_id",),
    stream=("execution_id",),
    evolve=evolve,
    project=project,
    rows=rows,
    snapshot=snapshot,
    tables=(STRATEGY_EXECUTIONS,),
)
