"""Market data: price bars, the newest of each symbol in memory, all of them in the table."""

from decimal import Decimal
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import astuple

from schemas.domain import Kind
from schemas.tables import Change, Insert, Table, Upsert, within_months
from schemas.trading.money import ZERO
from schemas.trading.one_row import rows_in, snapshot_as
from schemas.trading.refusal import NO_MONTH, refusal
from schemas.trading.values import Count, Identifier, Nanoseconds, UtcTime


class _Bar(Struct, frozen=True, gc=False):
    symbol: Identifier
    opened_at: UtcTime
    opened_at_ns: Nanoseconds
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Count


class Bar(_Bar, frozen=True, gc=False):
    """What one symbol did in one interval: four prices and the number of shares traded."""


class BarReceived(_Bar, frozen=True, gc=False):
    """A bar came from the market."""


class BarSnapshotted(_Bar, frozen=True, gc=False):
    """A bar was in memory."""


MarketDataEvent: TypeAlias = BarReceived | BarSnapshotted

MARKET_BARS = Table(
    "market_bars",
    columns=Bar.__struct_fields__,
    key=("symbol", "opened_at"),
    windowed=True,
    months="opened_at",
)


def evolve(bar: Bar | None, event: MarketDataEvent) -> Bar:
    """Return the bar after an event; raises TransitionRefused.

    A bar that was evicted from memory is no longer known here, so a second one of its time passes;
    the table's key stops it.
    """
    match event:
        case BarReceived():
            if bar is not None:
                remedy = "a bar is final: send a later one"
                raise refusal(_name(event), "received already", event, remedy)
        case BarSnapshotted():
            pass
        case _:
            assert_never(event)
    if not within_months(event.opened_at):
        raise refusal(_name(event), "in no year that bars are of", event, NO_MONTH)
    if not ZERO < event.low <= min(event.open, event.close):
        remedy = "send prices above zero, with low the lowest of the four"
        raise refusal(_name(event), f"not lowest at {event.low}", event, remedy)
    if event.high < max(event.open, event.close):
        remedy = "send prices with high the highest of the four"
        raise refusal(_name(event), f"not highest at {event.high}", event, remedy)
    return Bar(*astuple(event))


def project(event: MarketDataEvent) -> tuple[Change, ...]:
    """Return what an event does to the tables."""
    match event:
        case BarReceived():
            return (Insert(MARKET_BARS, astuple(event)),)
        case BarSnapshotted():
            return (Upsert(MARKET_BARS, astuple(event)),)
        case _:
            assert_never(event)


rows = rows_in(MARKET_BARS)
snapshot = snapshot_as(BarSnapshotted)


def _name(bar: _Bar) -> str:
    return f"bar {bar.symbol} {bar.opened_at.isoformat()}"


KIND = Kind(
    name="market_data",
    entity=Bar,
    events={
        "trading.market_data.bar_received.v1": BarReceived,
        "trading.market_data.snapshotted.v1": BarSnapshotted,
    },
    key=("symbol", "opened_at"),
    stream=("symbol",),
    evolve=evolve,
    project=project,
    rows=rows,
    snapshot=snapshot,
    tables=(MARKET_BARS,),
)
