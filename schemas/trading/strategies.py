"""Strategies: the rules by which the app trades, their parameters, and whether they run."""

from typing import Literal, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import astuple, replace

from schemas.domain import Kind
from schemas.tables import Change, Delete, Insert, Patch, Table, Upsert
from schemas.trading.one_row import rows_in, snapshot_as
from schemas.trading.refusal import refusal
from schemas.trading.values import Identifier, Nanoseconds, Text, UtcTime

Status: TypeAlias = Literal["registered", "running", "paused", "stopped"]


class _Strategy(Struct, frozen=True, gc=False):
    strategy_id: Identifier
    algorithm: Identifier
    status: Status
    parameters: dict[Identifier, Text]
    """By name, as text: a number, a flag and a word read back as they were written."""
    registered_at: UtcTime
    registered_at_ns: Nanoseconds
    updated_at: UtcTime
    updated_at_ns: Nanoseconds


class Strategy(_Strategy, frozen=True, gc=False):
    """One algorithm with one set of parameters."""


class StrategySnapshotted(_Strategy, frozen=True, gc=False):
    """A strategy was in memory."""


class StrategyRegistered(Struct, frozen=True, gc=False):
    """A strategy became known; it does not trade yet."""

    strategy_id: Identifier
    algorithm: Identifier
    parameters: dict[Identifier, Text]
    at: UtcTime
    at_ns: Nanoseconds


class ParametersChanged(Struct, frozen=True, gc=False):
    """A strategy that is not running got these parameters in place of all it had."""

    strategy_id: Identifier
    parameters: dict[Identifier, Text]
    at: UtcTime
    at_ns: Nanoseconds


class _Moment(Struct, frozen=True, gc=False):
    strategy_id: Identifier
    at: UtcTime
    at_ns: Nanoseconds


class StrategyStarted(_Moment, frozen=True, gc=False):
    """A strategy began, or went on, to trade."""


class StrategyPaused(_Moment, frozen=True, gc=False):
    """A running strategy was held for a while."""


class StrategyStopped(_Moment, frozen=True, gc=False):
    """A strategy ended its trading; it may be started again or removed."""


class StrategyRemoved(_Moment, frozen=True, gc=False):
    """A strategy is no more."""


StrategyEvent: TypeAlias = (
    StrategyRegistered
    | ParametersChanged
    | StrategyStarted
    | StrategyPaused
    | StrategyStopped
    | StrategyRemoved
    | StrategySnapshotted
)

STRATEGIES = Table("strategies", columns=Strategy.__struct_fields__, key=("strategy_id",))

_Statuses: TypeAlias = frozenset[Status]
_MAY_START: _Statuses = frozenset(("registered", "paused", "stopped"))
_MAY_PAUSE: _Statuses = frozenset(("running",))
_MAY_STOP: _Statuses = frozenset(("running", "paused"))
_MAY_CHANGE: _Statuses = frozenset(("registered", "paused", "stopped"))
_MAY_BE_REMOVED: _Statuses = frozenset(("registered", "stopped"))


def evolve(strategy: Strategy | None, event: StrategyEvent) -> Strategy | None:
    """Return the strategy after an event, None once it is removed; raises TransitionRefused."""
    match event:
        case StrategyStarted():
            return _moved(strategy, event, _MAY_START, "running")
        case StrategyPaused():
            return _moved(strategy, event, _MAY_PAUSE, "paused")
        case StrategyStopped():
            return _moved(strategy, event, _MAY_STOP, "stopped")
        case StrategyRemoved():
            _require(strategy, event, _MAY_BE_REMOVED)
            return None
        case ParametersChanged(parameters=parameters, at=at, at_ns=at_ns):
            present = _require(strategy, event, _MAY_CHANGE)
            return replace(present, parameters=parameters, updated_at=at, updated_at_ns=at_ns)
        case StrategyRegistered() | StrategySnapshotted():
            return _begun(strategy, event)
        case _:
            assert_never(event)


def _begun(strategy: Strategy | None, event: StrategyRegistered | StrategySnapshotted) -> Strategy:
    if isinstance(event, StrategySnapshotted):
        return Strategy(*astuple(event))
    if strategy is not None:
        remedy = "register under another id, or remove this one first"
        raise refusal(_stream(event), strategy.status, event, remedy)
    return _registered(event)


def _registered(event: StrategyRegistered) -> Strategy:
    at, at_ns = event.at, event.at_ns
    return Strategy(
        event.strategy_id, event.algorithm, "registered", event.parameters, at, at_ns, at, at_ns
    )


def _moved(
    strategy: Strategy | None, event: _Moment, allowed: _Statuses, status: Status
) -> Strategy:
    present = _require(strategy, event, allowed)
    return replace(present, status=status, updated_at=event.at, updated_at_ns=event.at_ns)


def _require(
    strategy: Strategy | None, event: _Moment | ParametersChanged, allowed: _Statuses
) -> Strategy:
    """Return the strategy where its state allows the event and the event is not from before it."""
    if strategy is None:
        raise refusal(_stream(event), "not known", event, "register the strategy first")
    if strategy.status not in allowed:
        remedy = f"bring it to one of: {', '.join(sorted(allowed))}"
        raise refusal(_stream(event), strategy.status, event, remedy)
    if event.at_ns < strategy.updated_at_ns:
        remedy = f"{event.at_ns} ns is earlier: record events in the order of their times"
        raise refusal(_stream(event), f"at {strategy.updated_at_ns} ns", event, remedy)
    return strategy


def _stream(event: StrategyEvent | _Moment) -> str:
    return f"strategy/{event.strategy_id}"


def project(event: StrategyEvent) -> tuple[Change, ...]:
    """Return what an event does to the tables."""
    match event:
        case StrategyStarted():
            return _status_patch(event, "running")
        case StrategyPaused():
            return _status_patch(event, "paused")
        case StrategyStopped():
            return _status_patch(event, "stopped")
        case StrategyRemoved(strategy_id=strategy_id):
            return (Delete(STRATEGIES, (strategy_id,)),)
        case ParametersChanged(parameters=parameters, at=at, at_ns=at_ns):
            changes = {"parameters": parameters, "updated_at": at, "updated_at_ns": at_ns}
            return (Patch(STRATEGIES, (event.strategy_id,), changes),)
        case StrategyRegistered() | StrategySnapshotted():
            return (_whole_row(event),)
        case _:
            assert_never(event)


def _whole_row(event: StrategyRegistered | StrategySnapshotted) -> Insert | Upsert:
    if isinstance(event, StrategySnapshotted):
        return Upsert(STRATEGIES, astuple(event))
    return Insert(STRATEGIES, astuple(_registered(event)))


def _status_patch(event: _Moment, status: Status) -> tuple[Patch]:
    changes = {"status": status, "updated_at": event.at, "updated_at_ns": event.at_ns}
    return (Patch(STRATEGIES, (event.strategy_id,), changes),)


rows = rows_in(STRATEGIES)
snapshot = snapshot_as(StrategySnapshotted)

KIND = Kind(
    name="strategy",
    entity=Strategy,
    events={
        "trading.strategy.registered.v1": StrategyRegistered,
        "trading.strategy.parameters_changed.v1": ParametersChanged,
        "trading.strategy.started.v1": StrategyStarted,
        "trading.strategy.paused.v1": StrategyPaused,
        "trading.strategy.stopped.v1": StrategyStopped,
        "trading.strategy.removed.v1": StrategyRemoved,
        "trading.strategy.snapshotted.v1": StrategySnapshotted,
    },
    key=("strategy_id",),
    stream=("strategy_id",),
    evolve=evolve,
    project=project,
    rows=rows,
    snapshot=snapshot,
    tables=(STRATEGIES,),
)
