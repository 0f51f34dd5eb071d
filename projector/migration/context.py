"""What a run's phases share: where everything is, what was found, and the ways to change it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from projector.audit.report import Report
from projector.audit.result import AuditResult
from projector.log import Log
from projector.migration.effects import Effects
from projector.migration.progress import MigrationProgress, Watcher
from projector.migration.record import Mode
from projector.migration.switch import Switched
from projector.replay.savepoints import Savepoint
from projector.route import Route, read_route
from projector.standing import Standing, standing
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.requests import CatalogAnswer
from schemas.settings import Settings

_LOOK_S = 0.1


class Found(msgspec.Struct):
    """What the phases found out; a run that takes over finds it again, or does without."""

    sources: list[str] = []
    catalog: list[CatalogAnswer] = []
    savepoints: list[Savepoint] = []
    backup: str = ""
    """Its name; empty where none was wanted."""
    audits: list[AuditResult] = []
    validation: Report | None = None
    """What the five levels said of the tables."""
    barrier_ms: list[float] = []
    """How long barriers took from memory to the tables."""
    cutover: Switched | None = None
    hold_ms: float = 0.0
    """How long writers were held, where they were for longer than a fence."""


class Context:
    """One run's context; the connection is in autocommit and the run's own."""

    def __init__(  # noqa: PLR0917
        self,
        settings: Settings,
        domain: Domain,
        conn: psycopg.Connection[Any],
        effects: Effects,
        mode: Mode,
        watcher: Watcher,
    ) -> None:
        self.settings = settings
        self.domain = domain
        self.conn = conn
        self.effects = effects
        self.mode = mode
        self.projection = settings.projection or domain.name
        self.found = Found()
        self._watcher = watcher
        self._progress = MigrationProgress("", 0, 0)

    def route(self) -> Route:
        """Return where reads go now."""
        return read_route(self.conn, self.projection).route

    def savepoint_name(self, moment: str) -> str:
        """Return the name of a savepoint of this run, the same after a kill."""
        return f"{moment}-{self.effects.migration[:8]}"

    def begin(self, phase: str, number: int, phases: int) -> None:
        """Tell that a phase begins."""
        self._progress = MigrationProgress(phase, number, phases)
        self._watcher(self._progress)

    def tell(self, **changes: Any) -> None:
        """Tell how far the phase is."""
        self._watcher(msgspec.structs.replace(self._progress, **changes))

    def log(self) -> Log:
        """Return the log, to be opened with `async with`."""
        return Log(self.settings, kafka_topic(self.settings.topic, FIRST_GENERATION))

    async def until_applied(
        self,
        reached: Callable[[Standing], bool],
        waits_for: str,
        target: int | None = None,
    ) -> Standing:
        """Return where the tables stand once they stand well, a partition stopped, or time is up.

        The time is `migration.timeout_ms`; the caller judges what it gets. `target` is the sum of
        offsets to show progress against; without one it is the moving end of the log.
        """
        deadline = time.monotonic() + self.settings.migration.timeout_ms / 1000
        async with self.log() as log:
            while True:
                now = await standing(self.conn, log, self.projection)
                total = target or now.end
                self.tell(
                    done=min(now.applied, total),
                    total=total,
                    unit="records",
                    lag=now.lag,
                    waits_for="" if now.lag else waits_for,
                )
                if self.effects.dry or reached(now) or now.stopped:
                    return now
                if time.monotonic() > deadline:
                    return now
                await asyncio.sleep(_LOOK_S)
