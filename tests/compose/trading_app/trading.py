"""A desk that has traded, and everything that was recorded on the way."""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import msgspec

from compose.trading_app.desk import Desk
from compose.trading_app.engine import TradingEngine
from compose.trading_app.tape import Tape, read_bars
from schemas.trading import DOMAIN

BARS = read_bars()


class Traded(NamedTuple):
    desk: Desk
    events: list[msgspec.Struct]


def trade(
    bars: int,
    *,
    seed: int = 1,
    multiplicity: int = 1,
    after_each: Callable[[Desk], None] = lambda _desk: None,
) -> Traded:
    """Trade the first bars of the tape; `after_each` looks at the desk after each of them."""
    desk = Desk()
    events: list[msgspec.Struct] = []
    desk.recording.tell(DOMAIN.type_of, events.append)
    engine = TradingEngine(desk, seed)
    for tick in islice(Tape(BARS, multiplicity).play(), bars):
        engine.on_tick(tick)
        after_each(desk)
    return Traded(desk, events)
