"""The migration for programs: one class, the verbs of the command line, typed results."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import psycopg

from projector.audit.report import Report
from projector.audit.scope import Scope
from projector.audit.validation import Source, validate
from projector.audit.work import kept_audit
from projector.control_tables import connect, read_projection
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.declared import whole_domain
from projector.migration import fences
from projector.migration.context import Context
from projector.migration.dry import RecordedEffects
from projector.migration.effects import Effects
from projector.migration.live import LiveEffects
from projector.migration.phases import PHASES
from projector.migration.progress import MigrationProgress, Watcher
from projector.migration.record import Mode, lock, newest, phases
from projector.migration.result import MigrationResult, SwitchResult, last_audit, phase_results
from projector.migration.run import run_phases
from projector.migration.switch import switch
from projector.progress import Progress
from projector.replay.look_back import LookedBack, Resumed, look_back, resume
from projector.replay.replaying import Way
from projector.replay.target import Target
from projector.route import Route, read_route
from projector.sources import active_sources, asking
from projector.status import Status, read_status
from schemas.domain import Domain, load_domain
from schemas.errors import FerryError
from schemas.extraction import Selection
from schemas.requests import CatalogAnswer, StatisticsAnswer
from schemas.settings import Settings

_ASK_S = 10.0
T = TypeVar("T")


class AlreadyMigrated(FerryError):
    """Reads are in PostgreSQL already."""


class NothingToSwitch(FerryError):
    """Reads are in memory already."""


class MemoryDiffers(FerryError):
    """Memory does not hold what the log holds: it is no place to read from."""


class EventLoopRuns(FerryError):
    """A blocking method was called where it would block an event loop."""


def _block(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise EventLoopRuns(
        "this method blocks, and an event loop runs in this thread",
        remedy="await asyncio.to_thread(migration.run), and so on",
    )


class ZeroDowntimeMigration:
    """Carries a running app's reads from memory to PostgreSQL, and back.

    Every method blocks, and may be called from any thread that runs no event loop. `watcher` is
    told of the progress of `run`. Without a `domain`, every kind is taken that the settings and
    the log name.
    """

    mode: Mode = "zero_downtime"

    def __init__(
        self,
        settings: Settings,
        domain: Domain | None = None,
        watcher: Watcher = lambda _: None,
    ) -> None:
        self.settings = settings
        self._domain = domain
        named = domain or load_domain(settings.domain)
        self.projection = settings.projection or named.name
        self._watcher = watcher

    @property
    def domain(self) -> Domain:
        """Every kind that is worked on; asks Kafka, once, where none was given."""
        if self._domain is None:
            self._domain = _block(whole_domain(self.settings, load_domain(self.settings.domain)))
        return self._domain

    def run(self) -> MigrationResult:
        """Go through the ten phases, or go on where a run before was killed.

        Returns: a result whose state is `undone`, with the reason, where a gate was closed.
        Raises:  MigrationInProgress, AlreadyMigrated; the errors of reaching Kafka or PostgreSQL,
                 which leave the migration for the next run.
        """
        return _block(self._run(self.domain))

    def dry_run(self) -> MigrationResult:
        """Go through the same phases without leaving anything behind; say what a run would do."""
        return _block(self._dry_run(self.domain))

    def extract(self, timeout_s: float = _ASK_S) -> list[CatalogAnswer]:
        """Ask every running app what it holds; raises SourceSilent."""
        with self._connect("extract") as conn:
            _block(read_control(conn, self.settings))
            sources = active_sources(conn, self.settings.topic)
            with asking(conn, self.projection, sources, "catalog") as asked:
                answers = asked.answers(timeout_s)
        return [msgspec.convert(answer, CatalogAnswer) for answer in answers.values()]

    def statistics(self, selection: Selection, timeout_s: float = _ASK_S) -> list[StatisticsAnswer]:
        """Ask every running app what the selected entities hold; raises SourceSilent."""
        with self._connect("statistics") as conn:
            _block(read_control(conn, self.settings))
            sources = active_sources(conn, self.settings.topic)
            with asking(conn, self.projection, sources, "statistics", selection) as asked:
                answers = asked.answers(timeout_s)
        return [msgspec.convert(answer, StatisticsAnswer) for answer in answers.values()]

    def switch_back(self, *, without_audit: bool = False) -> SwitchResult:
        """Move reads back to memory, with every write since the cutover still there.

        Memory is compared with the log first. Writers stand still only until their barriers are on
        disk: no projector is needed.
        Raises: NothingToSwitch, MemoryDiffers, FenceBroken, MigrationInProgress, SourceSilent.
        """
        return _block(self._switch_back(self.domain, without_audit))

    def rollback(
        self,
        target: Target,
        *,
        way: Way = "swap",
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> LookedBack:
        """Look back: the tables alone go to a position and hold there; the app goes on.

        Raises: ReadsInPostgres, MigrationInProgress, PositionInvalid, SavepointUnknown before
                anything changes.
        """
        return _block(look_back(self.settings, self.domain, target, on_progress, way=way))

    def resume(
        self,
        *,
        timeout_s: float = 60.0,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Resumed:
        """Let a held projection go on; return once it has caught up, or time is up.

        Raises: NotHeld, MigrationInProgress.
        """
        return _block(resume(self.settings, self.domain, timeout_s, on_progress))

    def validate(
        self, source: Source = "log", target: Source | None = "tables", *, timeout_s: float = 60.0
    ) -> Report:
        """Look at a source, and a target alike, on the five levels; see `audit.validation`."""
        return _block(validate(self.settings, self.domain, source, target, timeout_s=timeout_s))

    def status(self) -> Status:
        """Return where everything stands, the phase included."""
        return _block(read_status(self.settings, load_domain(self.settings.domain)))

    def _connect(self, role: str) -> psycopg.Connection[Any]:
        return connect(self.settings, role)

    async def _run(self, domain: Domain) -> MigrationResult:
        with self._connect("migrate") as conn:
            lock(conn, self.projection)
            effects = LiveEffects(self.settings, domain, conn, self.projection)
            try:
                return await self._go(conn, effects, domain)
            finally:
                await effects.close()

    async def _dry_run(self, domain: Domain) -> MigrationResult:
        with self._connect("migrate, dry run") as conn:
            effects = RecordedEffects(self.settings, domain, conn, self.projection)
            result = await self._go(conn, effects, domain)
        return msgspec.structs.replace(result, state="planned", effects=effects.said)

    async def _go(
        self, conn: psycopg.Connection[Any], effects: Effects, domain: Domain
    ) -> MigrationResult:
        self._require_memory(conn)
        mode, first = await effects.open(self.mode, PHASES[0].name)
        run = Context(self.settings, domain, conn, effects, mode, self._watcher)
        run.found.sources = self._sources(conn)
        closed = await run_phases(run, first)
        reason = closed.what if closed else ""
        effects.end("undone" if closed else "finished", reason)
        return self._result(run, closed)

    def _require_memory(self, conn: psycopg.Connection[Any]) -> None:
        found = newest(conn, self.projection)
        running = found is not None and found.state == "running"
        if not running and self._route(conn) == "postgres":
            raise AlreadyMigrated(
                f"reads of projection {self.projection!r} are in PostgreSQL already",
                where="memferry.route",
                remedy="`memferry switch-back` returns them to memory; then migrate again",
            )

    def _route(self, conn: psycopg.Connection[Any]) -> Route:
        try:
            return read_route(conn, self.projection).route
        except psycopg.errors.UndefinedTable:
            return "memory"

    def _sources(self, conn: psycopg.Connection[Any]) -> list[str]:
        try:
            return active_sources(conn, self.settings.topic)
        except psycopg.errors.UndefinedTable:  # a dry run makes no tables
            return []

    def _result(self, run: Context, closed: FerryError | None) -> MigrationResult:
        found, cutover = run.found, run.found.cutover
        records = [] if run.effects.dry else phases(run.conn, run.effects.migration)
        return MigrationResult(
            migration=run.effects.migration,
            mode=run.mode,
            state="undone" if closed else "finished",
            reason=closed.what if closed else "",
            next_step=closed.remedy if closed else "",
            route=self._route(run.conn),
            cutover_pause_ms=max(cutover.pause_ms, found.hold_ms) if cutover else None,
            fence_ms=cutover.fence_ms if cutover else None,
            epoch=cutover.epoch if cutover else None,
            sources=found.sources,
            savepoints=[point.name for point in found.savepoints],
            backup=found.backup,
            phases=phase_results(records),
            audit=last_audit(run.settings, run.projection, found.audits),
            validation=found.validation,
        )

    async def _switch_back(self, domain: Domain, without_audit: bool) -> SwitchResult:
        settings, name = self.settings, self.projection
        with self._connect("switch back") as conn:
            read_projection(conn, name)
            lock(conn, name)
            await read_control(conn, settings)
            fences.settle(conn, settings, name, "the run that asked for it ended")
            await publish_decisions(conn, settings)
            if read_route(conn, name).route != "postgres":
                raise NothingToSwitch(
                    f"reads of projection {name!r} are in memory already",
                    where="memferry.route",
                    remedy="`memferry migrate --zero-downtime` moves them to PostgreSQL",
                )
            sources = active_sources(conn, settings.topic)
            if not without_audit:
                self._watcher(MigrationProgress("AUDIT", 1, 2, waits_for="memory and log"))
                await self._require_memory_whole(domain)
            self._watcher(MigrationProgress("SWITCH_BACK", 2, 2, waits_for="the switch"))
            done = await switch(conn, settings, name, "memory", sources)
        return SwitchResult(done.route, done.epoch, done.pause_ms, done.fence_ms, sources)

    async def _require_memory_whole(self, domain: Domain) -> None:
        timeout_s = self.settings.migration.timeout_ms / 1000
        found = await kept_audit(
            self.settings, domain, Scope(with_tables=False, timeout_s=timeout_s)
        )
        # Where the log does not fold over a parked event, it says nothing against the app's memory.
        differ = [finding for finding in found.findings if not finding.parked]
        if differ:
            raise MemoryDiffers(
                f"memory differs from the log in {len(differ)} rows: {differ[0]}",
                where="the running app",
                remedy="restart the app: memory is restored from its outbox; then switch back. "
                "`--without-audit` goes back all the same",
            )


class StopAndCopyMigration(ZeroDowntimeMigration):
    """The same phases, with writes held from the snapshot to the cutover.

    Under a lease of `migration.max_downtime_ms`, renewed up to `migration.timeout_ms`.
    """

    mode: Mode = "stop_and_copy"
