"""Processes that tests kill: a backup, or a restore, that dies at a chosen point."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from projector.backup import loading, restoring, taking
from projector.replay import swapping
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN

PLACES: dict[str, tuple[Any, str]] = {
    "the snapshot is taken": (taking, "_describe"),
    "the dump is written": (taking, "_dump"),
    "the manifest is written": (taking, "write_durably"),
    "the sums are written": (taking, "write_sums"),
    "the backup has its name": (taking, "verify_listing"),
    "the restore is recorded": (restoring, "_begin"),
    "tables are made": (restoring, "make"),
    "one control table is read": (loading, "_copy"),
    "one table is filled": (loading, "_fill"),
    "all tables are filled": (restoring, "load_tables"),
    "the swap is recorded": (swapping, "note"),
    "the swap took place": (restoring, "swap"),
}
"""The function behind whose first end the process dies."""


def back_up(settings: Settings, dies: str) -> None:
    _mortal(*PLACES[dies])
    taking.take(settings, settings.projection, "killed")


def bring_back(settings: Settings, name: str, dies: str) -> None:
    _mortal(*PLACES[dies])
    asyncio.run(restoring.restore(settings, DOMAIN, name))


def _mortal(module: Any, name: str) -> None:
    real: Callable[..., Any] = getattr(module, name)

    def dies(*values: Any, **named: Any) -> None:
        real(*values, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    async def dies_later(*values: Any, **named: Any) -> None:
        await real(*values, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, dies_later if asyncio.iscoroutinefunction(real) else dies)
