"""Processes that tests kill or freeze: a run that dies at a chosen point, an app that writes."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import msgspec

from projector.migration import fences, run, switch
from projector.migration.interface import StopAndCopyMigration, ZeroDowntimeMigration
from projector.migration.phase import Phase
from projector.migration.phases import PHASES
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.migration.stage import Stage

# Shared with the command line's tests: there is one fork server, with one list.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["pytest", "compose.cli", "tests.compose.cli.child", "tests.projector.migration.child"]
)
PLACES: dict[str, tuple[Any, str]] = {
    "a fence is asked for": (fences, "ask"),
    "a switch is decided": (switch, "_decide"),
    "a switch is published": (switch, "publish_decisions"),
}
"""Points inside a phase's work: the function behind whose end the run dies."""


def start(target: Callable[..., None], *values: Any) -> ForkServerProcess:
    process = processes.Process(target=target, args=values)
    process.start()
    return process


def migrate(settings: Settings, dies: str, *, stop_and_copy: bool = False) -> None:
    """Run the migration, and die by SIGKILL behind a phase's step (`CUTOVER.work`), or a place."""
    if dies in PLACES:
        _mortal_function(*PLACES[dies])
    else:
        name, step = dies.split(".")
        vars(run)["PHASES"] = tuple(_mortal(p, step) if p.name == name else p for p in PHASES)
    kind = StopAndCopyMigration if stop_and_copy else ZeroDowntimeMigration
    kind(settings, DOMAIN).run()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(phase: type[Phase], step: str) -> type[Phase]:
    real = getattr(phase, step)

    async def dies(self: Phase, context: Any) -> None:
        await real(self, context)
        _die()

    return type(phase.__name__, (phase,), {step: dies})


def _mortal_function(module: Any, name: str) -> None:
    real = getattr(module, name)
    if asyncio.iscoroutinefunction(real):

        async def dies_later(*values: Any) -> None:
            await real(*values)
            _die()

        setattr(module, name, dies_later)
        return

    def dies(*values: Any) -> None:
        real(*values)
        _die()

    setattr(module, name, dies)


def trade(settings: Settings, acknowledged: Path) -> None:
    """Be an app that writes until SIGTERM, and leaves behind what was acknowledged."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    stage = Stage(settings)
    stage.write()
    stage.wrote_on()
    acknowledged.write_bytes(b"")
    ending.wait()
    stage.rest()
    acknowledged.write_bytes(msgspec.json.encode(stage.acknowledged))
    stage.close()
