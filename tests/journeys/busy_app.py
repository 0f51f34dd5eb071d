"""An app under load: all five kinds, rings that evict, a collection that is changed and deleted.

python -m tests.journeys.busy_app CONFIG READY_FILE EVENTS_PER_S SEED      ends on SIGTERM
"""

import json
import os
import random
import signal
import sys
import threading
from collections import defaultdict, deque
from collections.abc import MutableMapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import eventlog
from schemas.domain import TransitionRefused
from schemas.trading import DOMAIN
from tests.benchmarks.workload import mixed_events

_RING = 20
_TICK_S = 0.01
_QUOTES = 300
_QUOTED_OF_TEN = 2
_ENDLESS = 10**9


def main(config: str, ready: str, events_per_s: int, seed: int) -> None:
    """Record until told to end."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    ferry = eventlog.attach(config)
    for kind in DOMAIN.kinds:
        store: MutableMapping[str, Any] = {}
        if kind.tables[0].windowed:
            store = defaultdict(partial(deque, maxlen=_RING))
        ferry.register(kind.name, store)

    @ferry.entity(stream="quote", key="symbol")
    class Quote(msgspec.Struct):
        symbol: str
        bid: int
        sizes: list[int]

    quotes = ferry.dict("quotes", Quote)
    draw = random.Random(seed)
    events = mixed_events(_ENDLESS)
    Path(ready).write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
    a_tick = round(events_per_s * _TICK_S)
    while not over.wait(_TICK_S):
        for _ in range(a_tick):
            if draw.randrange(10) >= _QUOTED_OF_TEN:
                with suppress(TransitionRefused):  # of what a rollback took away
                    ferry.record(next(events))
                continue
            symbol = f"Q{draw.randrange(_QUOTES)}"
            quote = quotes.get(symbol)
            if quote is None:
                quotes[symbol] = Quote(symbol, draw.randrange(1000), [])
            elif draw.randrange(3) == 0:
                del quotes[symbol]
            elif draw.randrange(2):
                quote.bid += 1
            else:
                quote.sizes.append(draw.randrange(9))
    ferry.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
