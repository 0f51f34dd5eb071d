"""Entities of the ledger, and of a domain whose kinds refer to each other, as they are held."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from eventlog.extraction.survey import Held, survey
from schemas.derived.kind import derive_kind
from schemas.extraction import KindStatistics, Selection
from tests.domains.ledger import ACCOUNT, READING, Account, Reading

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Strategy(msgspec.Struct):
    strategy_id: str
    started_at: datetime
    weight: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0


class Signal(msgspec.Struct, frozen=True):
    symbol: str
    number: int
    at: datetime
    strategy_id: str | None
    strength: float


STRATEGY = derive_kind("strategy", Strategy, key=("strategy_id",))
SIGNAL = derive_kind("signal", Signal, key=("symbol", "number"), stream=("symbol",), windowed=True)


def account(name: str, balance: Any = 0, *, owner: str = "", hours: float = 0) -> Account:
    """Return an account opened so many hours before NOW, of an owner of its own."""
    opened = NOW - timedelta(hours=hours)
    return Account(name, owner or f"owner of {name}", Decimal(balance), opened)


def signal(symbol: str, number: int, *, minutes: float = 0, by: str | None = "s") -> Signal:
    return Signal(symbol, number, NOW - timedelta(minutes=minutes), by, number / 7)


def strategy(name: str, **changes: Any) -> Strategy:
    return msgspec.structs.replace(Strategy(name, NOW), **changes)


def accounts(*entities: Account) -> Held:
    return Held(ACCOUNT, lambda: iter(entities))


def readings(entities: Iterable[Reading]) -> Held:
    kept = list(entities)
    return Held(READING, lambda: iter(kept))


def signals(*entities: Signal) -> Held:
    return Held(SIGNAL, lambda: iter(entities))


def strategies(*entities: Strategy) -> Held:
    return Held(STRATEGY, lambda: iter(entities))


def judged(*held: Held, now: datetime = NOW, **selection: Any) -> KindStatistics:
    """Return what is said of the first kind."""
    return survey(held, Selection(**selection), now)[0]


def warned(found: KindStatistics) -> dict[tuple[str, str], tuple[int, list[str]]]:
    """Return what was warned of: (what, field) → count and examples."""
    return {(w.what, w.field): (w.count, w.examples) for w in found.warnings}
