"""A small trading app in this process, whose memory may be changed behind the shim's back."""

from collections import defaultdict, deque
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import eventlog
from eventlog.receipts import Receipt
from schemas.domain import Kind
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.workload import mixed_events

RING = 3
Store = MutableMapping[Any, Any]


class Trader:
    """All five kinds in memory, rings shorter than what was recorded of most of them."""

    def __init__(self, settings: Settings, events: int) -> None:
        self.settings = settings
        self.stores: dict[str, Store] = {kind.name: _store(kind) for kind in DOMAIN.kinds}
        self.ferry = eventlog.attach(settings, domain=DOMAIN)
        for name, store in self.stores.items():
            self.ferry.register(name, store)
        self.newest: Receipt
        for event in mixed_events(events):
            self.newest = self.ferry.record(event)
        self.newest.durable(30)

    def close(self) -> None:
        """End the app."""
        self.ferry.close()


def is_windowed(kind: Kind) -> bool:
    """Say whether memory holds a kind in rings."""
    return any(table.windowed for table in kind.tables)


def _store(kind: Kind) -> Store:
    if is_windowed(kind):
        return defaultdict(partial(deque, maxlen=RING))
    return {}
