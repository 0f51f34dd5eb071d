"""What a run tells whoever watches it."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class MigrationProgress(msgspec.Struct, frozen=True):
    """Where a run is. `done` and `total` count what the phase counts, named by `unit`."""

    phase: str
    number: int
    """Of the phase, from 1."""
    phases: int
    done: int = 0
    total: int = 0
    unit: str = ""
    lag: int = 0
    """Records that the tables are behind the log."""
    waits_for: str = ""
    """What nothing can be said of but that it is waited for; empty while there is progress."""


Watcher: TypeAlias = Callable[[MigrationProgress], None]
