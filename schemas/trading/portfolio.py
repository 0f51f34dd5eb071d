"""Portfolio snapshots: what was held at one moment, and what it was worth."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import astuple

from schemas.domain import Kind, TransitionRefused
from schemas.tables import Change, Insert, Row, Table, Upsert, within_months
from schemas.trading import money
from schemas.trading.money import ZERO
from schemas.trading.refusal import NO_MONTH, refusal
from schemas.trading.values import Identifier, Nanoseconds, UtcTime


class Position(Struct, frozen=True, gc=False):
    """How much of one symbol is held; negative where it is owed."""

    symbol: Identifier
    quantity: Decimal
    average_price: Decimal
    market_price: Decimal


class _Portfolio(Struct, frozen=True, gc=False):
    portfolio_id: Identifier
    taken_at: UtcTime
    taken_at_ns: Nanoseconds
    cash: Decimal
    equity: Decimal
    """Cash and all positions at their market prices."""
    positions: tuple[Position, ...]
    """At most one a symbol."""


class PortfolioSnapshot(_Portfolio, frozen=True, gc=False):
    """One portfolio at one moment; it never changes. Its positions stand in symbols' order."""


class PortfolioTaken(_Portfolio, frozen=True, gc=False):
    """A portfolio was looked at and valued."""


class PortfolioSnapshotted(_Portfolio, frozen=True, gc=False):
    """A portfolio snapshot was in memory."""


PortfolioEvent: TypeAlias = PortfolioTaken | PortfolioSnapshotted

PORTFOLIO_SNAPSHOTS = Table(
    "portfolio_snapshots",
    columns=("portfolio_id", "taken_at", "taken_at_ns", "cash", "equity"),
    key=("portfolio_id", "taken_at"),
    windowed=True,
    months="taken_at",
)
PORTFOLIO_POSITIONS = Table(
    "portfolio_positions",
    columns=("portfolio_id", "taken_at", "taken_at_ns", *Position.__struct_fields__),
    key=("portfolio_id", "taken_at", "symbol"),
    windowed=True,
    months="taken_at",
)


def equity(cash: Decimal, positions: tuple[Position, ...]) -> Decimal:
    """Return cash and all positions at their market prices: what a snapshot must say."""
    total = cash
    for position in positions:
        total = money.add(total, money.multiply(position.quantity, position.market_price))
    return total


def evolve(portfolio: PortfolioSnapshot | None, event: PortfolioEvent) -> PortfolioSnapshot:
    """Return the portfolio snapshot that an event holds, its positions in their symbols' order.

    Tables know no order of rows: without one, memory and PostgreSQL would not give the same.
    Raises: TransitionRefused where there is one of that moment already, or where its values do not
            agree with each other.
    """
    taken = PortfolioSnapshot(
        event.portfolio_id, event.taken_at, event.taken_at_ns, event.cash, event.equity,
        _in_order(event.positions),
    )  # fmt: skip
    if portfolio is not None and (isinstance(event, PortfolioTaken) or portfolio != taken):
        raise _refusal(event, "taken already", "take a portfolio at a later moment")
    if not within_months(event.taken_at):
        raise _refusal(event, "in no year that snapshots are of", NO_MONTH)
    if len({position.symbol for position in event.positions}) != len(event.positions):
        raise _refusal(event, "holding a symbol twice", "add up the positions of each symbol")
    if any(p.average_price < ZERO or p.market_price <= ZERO for p in event.positions):
        raise _refusal(event, "not valued", "give each position a market price above zero")
    worth = equity(event.cash, event.positions)
    if event.equity != worth:
        raise _refusal(event, f"worth {worth}, not {event.equity}", "compute it with equity()")
    return taken


def _refusal(event: PortfolioEvent, state: str, remedy: str) -> TransitionRefused:
    return refusal(f"portfolio/{event.portfolio_id}", state, event, remedy)


def project(event: PortfolioEvent) -> tuple[Change, ...]:
    """Return what an event does to the tables: one row of the whole, one of each position."""
    match event:
        case PortfolioTaken():
            return tuple([Insert(table, row) for table, row in rows(event)])
        case PortfolioSnapshotted():
            return tuple([Upsert(table, row) for table, row in rows(event)])
        case _:
            assert_never(event)


def rows(portfolio: _Portfolio) -> tuple[tuple[Table, Row], ...]:
    """Return the rows that the tables must hold for a portfolio snapshot."""
    moment = (portfolio.portfolio_id, portfolio.taken_at, portfolio.taken_at_ns)
    return (
        (PORTFOLIO_SNAPSHOTS, (*moment, portfolio.cash, portfolio.equity)),
        *[(PORTFOLIO_POSITIONS, (*moment, *astuple(p))) for p in portfolio.positions],
    )


def entities(rows_by_table: Mapping[str, Sequence[Row]]) -> list[PortfolioSnapshot]:
    """Return the portfolio snapshots whose rows these are."""
    positions: dict[Row, list[Position]] = {}
    for portfolio_id, taken_at, _, *position in rows_by_table[PORTFOLIO_POSITIONS.name]:
        positions.setdefault((portfolio_id, taken_at), []).append(Position(*position))
    return [
        PortfolioSnapshot(
            portfolio_id, taken_at, taken_at_ns, cash, worth,
            _in_order(positions.get((portfolio_id, taken_at), ())),
        )
        for portfolio_id, taken_at, taken_at_ns, cash, worth in (
            rows_by_table[PORTFOLIO_SNAPSHOTS.name]
        )
    ]  # fmt: skip


def _in_order(positions: Iterable[Position]) -> tuple[Position, ...]:
    return tuple(sorted(positions, key=attrgetter("symbol")))


def snapshot(portfolio: PortfolioSnapshot) -> PortfolioSnapshotted:
    """Return the event that carries a portfolio snapshot whole."""
    return PortfolioSnapshotted(*astuple(portfolio))


KIND = Kind(
    name="portfolio",
    entity=PortfolioSnapshot,
    events={
        "trading.portfolio.taken.v1": PortfolioTaken,
        "trading.portfolio.snapshotted.v1": PortfolioSnapshotted,
    },
    key=("portfolio_id", "taken_at"),
    stream=("portfolio_id",),
    evolve=evolve,
    project=project,
    rows=rows,
    snapshot=snapshot,
    tables=(PORTFOLIO_SNAPSHOTS, PORTFOLIO_POSITIONS),
    entities=entities,
)
