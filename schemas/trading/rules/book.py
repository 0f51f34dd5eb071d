"""The book: the cash and positions of portfolio snapshots must follow from the trades.

From one snapshot of a portfolio to the next, cash moves by what its trades paid and brought in
between, and a position is the sum of what its trades hold. Where events are seen, each fill and
exit has its own time. Of a trade that is seen only as it ended, it is known that its fills lie
between its opening and its last change: its cash and its holding are then a range, and a snapshot
in between is wrong only where no value of the range makes it right.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from schemas.reconciliation import Unbalanced
from schemas.spill import Spill
from schemas.tables import key_text
from schemas.trading.accounts import account_of
from schemas.trading.money import ZERO, add, subtract
from schemas.trading.portfolio import PortfolioSnapshot
from schemas.trading.trades import Trade


class Span(NamedTuple):
    """An amount that is known to lie between two values; both are the same where it is known."""

    low: Decimal
    high: Decimal

    def plus(self, other: "Span") -> "Span":
        """Return the sum."""
        return Span(add(self.low, other.low), add(self.high, other.high))

    def taken_from(self, amount: Decimal) -> "Span":
        """Return what is left of an amount without it."""
        return Span(subtract(amount, self.high), subtract(amount, self.low))

    def common(self, other: "Span") -> "Span | None":
        """Return what lies in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Span(low, high) if low <= high else None

    def around(self, other: "Span") -> "Span":
        """Return the span that holds both."""
        return Span(min(self.low, other.low), max(self.high, other.high))

    def __str__(self) -> str:
        return f"{self.low:f}" if self.low == self.high else f"{self.low:f} to {self.high:f}"


NOTHING = Span(ZERO, ZERO)
_WAITING_MOST = 1_000


class _Move(msgspec.Struct, tag="move", array_like=True, frozen=True, gc=False):
    """At one moment, by how much cash and one symbol's holding changed."""

    symbol: str
    cash_low: Decimal
    cash_high: Decimal
    held_low: Decimal
    held_high: Decimal


class _Stand(msgspec.Struct, tag="stand", array_like=True, frozen=True):
    """What a portfolio snapshot says."""

    key: str
    cash: Decimal
    positions: tuple[tuple[str, Decimal], ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Move | _Stand).decode


class Book:
    """The fold over trades and portfolio snapshots, in whatever order they come."""

    def __init__(self, account: Callable[[str], str] = account_of) -> None:
        self._account = account
        self._spill = Spill()
        self.skipped: list[str] = []

    def step(self, kind: str, key: str, before: Any, event: Any, entity: Any) -> None:
        """Take one event."""
        if entity is None:
            return
        if kind == "portfolio":
            if before is None:
                self.entity(kind, key, entity)
        elif before is None:  # opened, or in memory before there was a log
            self.entity(kind, key, entity)
        else:
            cash = _amount(subtract(_brought(entity), _brought(before)))
            held = _amount(subtract(_held(entity), _held(before)))
            if cash or held:
                move = _Move(entity.symbol, cash, cash, held, held)
                self._move(entity.symbol, entity.updated_at_ns, move)

    def entity(self, kind: str, key: str, entity: Any) -> None:
        """Take one trade or one snapshot as it is."""
        if kind == "portfolio":
            self._stand(key, entity)
        elif entity.filled_quantity:
            self._ended(entity)

    def finish(self) -> Iterator[Unbalanced]:
        """Give the snapshots that do not follow."""
        for account, rows in groupby(self._spill.in_order(), itemgetter(0)):
            found = _Account()
            for _, of_moment in groupby(rows, itemgetter(1)):
                yield from found.take(_decode(payload) for _, _, payload in of_moment)
            if not found.stands:
                self.skipped.append(f"{account}: it has trades, and no portfolio snapshot")
            elif not found.moves:
                self.skipped.append(f"{account}: no trade that was looked at is of this portfolio")
        self._spill.close()

    def _ended(self, trade: Trade) -> None:
        """Take a trade of which only the end is seen."""
        cash, held = _brought(trade), _held(trade)
        value, filled, fees = trade.filled_value, trade.filled_quantity, trade.fees
        for amount in (value, filled, fees, cash):
            _amount(amount)
        symbol, opened, updated = trade.symbol, trade.opened_at_ns, trade.updated_at_ns
        if opened == updated:
            self._move(symbol, opened, _Move(symbol, cash, cash, held, held))
            return
        if trade.side == "buy":
            between = _Move(symbol, add(value, fees).copy_negate(), ZERO, ZERO, filled)
        else:
            between = _Move(symbol, fees.copy_negate(), value, filled.copy_negate(), ZERO)
        self._move(symbol, opened, between)
        settled = _Move(
            symbol, subtract(cash, between.cash_low), subtract(cash, between.cash_high),
            subtract(held, between.held_low), subtract(held, between.held_high),
        )  # fmt: skip
        self._move(symbol, updated, settled)

    def _move(self, symbol: str, at_ns: int, move: _Move) -> None:
        self._spill.add(self._account(symbol), at_ns, _encode(move))

    def _stand(self, key: str, taken: PortfolioSnapshot) -> None:
        named = key or key_text((taken.portfolio_id, taken.taken_at))
        positions = tuple([(p.symbol, _amount(p.quantity)) for p in taken.positions])
        stand = _Stand(named, _amount(taken.cash), positions)
        self._spill.add(taken.portfolio_id, taken.taken_at_ns, _encode(stand))


class _Line:
    """One amount over time: what moved it, and what it must have been before all of that."""

    def __init__(self, start: Span | None) -> None:
        self.start = start
        """None: not known until the first snapshot says it."""
        self.before = self.now = NOTHING
        """What moved it until just before the present moment, and with the present one."""

    def judge(self, amount: Decimal) -> str:
        """Say what a snapshot should have said instead; empty where it is right.

        What happened in the very moment of a snapshot may have come before or after it.
        """
        implied = self.now.taken_from(amount), self.before.taken_from(amount)
        if self.start is not None:
            for one in implied:
                common = self.start.common(one)
                if common is not None:
                    self.start = common
                    return ""
        expected = "" if self.start is None else str(self.start.plus(self.now))
        self.start = implied[0].around(implied[1])  # from here on, only what changes is wrong
        return expected


class _Account:
    """One portfolio, from moment to moment."""

    def __init__(self) -> None:
        self.moves = 0
        self.stands = 0
        self._cash = _Line(None)
        self._held: dict[str, _Line] = {}
        self._waiting: list[Unbalanced] = []
        """Found before any trade was seen: perhaps none is of this portfolio."""

    def take(self, moment: Iterable[_Move | _Stand]) -> Iterable[Unbalanced]:
        """Take all that has the same time; return what is wrong with the snapshots in it."""
        moved = {self._cash}
        stands: list[_Stand] = []
        for one in moment:
            if isinstance(one, _Stand):
                stands.append(one)
                continue
            self.moves += 1
            line = self._held.setdefault(one.symbol, _Line(NOTHING))
            moved.add(line)
            line.now = line.now.plus(Span(one.held_low, one.held_high))
            self._cash.now = self._cash.now.plus(Span(one.cash_low, one.cash_high))
        found = [wrong for stand in stands for wrong in self._judge(stand)]
        for line in moved:
            line.before = line.now
        for symbol in [s for s, line in self._held.items() if _empty(line)]:
            del self._held[symbol]
        if self.moves:
            found, self._waiting = [*self._waiting, *found], []
            return found
        self._waiting += found[: _WAITING_MOST - len(self._waiting)]
        return ()

    def _judge(self, stand: _Stand) -> Iterator[Unbalanced]:
        self.stands += 1
        since = "by the snapshot before and the trades since"
        expected = self._cash.judge(stand.cash)
        if expected:
            cash = f"cash {stand.cash:f}"
            yield Unbalanced("portfolio", stand.key, cash, f"cash {expected}, {since}")
        said = dict(stand.positions)
        for symbol in sorted({*said, *self._held}):
            quantity = said.get(symbol, ZERO)
            expected = self._held.setdefault(symbol, _Line(NOTHING)).judge(quantity)
            if expected:
                yield Unbalanced(
                    "portfolio", stand.key, f"{quantity:f} of {symbol}",
                    f"{expected} of {symbol}, by its trades",
                )  # fmt: skip


def _amount(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError(f"{value} is no amount")
    return value


def _empty(line: _Line) -> bool:
    return line.now == line.start == line.before == NOTHING


def _brought(trade: Trade) -> Decimal:
    """Return what a trade has brought so far; negative where it has cost."""
    if trade.realised_profit is not None:
        return trade.realised_profit
    value = trade.filled_value
    return subtract(value.copy_negate() if trade.side == "buy" else value, trade.fees)


def _held(trade: Trade) -> Decimal:
    if trade.status == "closed":
        return ZERO
    filled = trade.filled_quantity
    return filled if trade.side == "buy" else filled.copy_negate()
