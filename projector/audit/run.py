"""One audit: memory, the fold of the log, and the tables, brought to one position and compared.

Memory is compared with the fold at the barrier that the app placed, the tables with the fold at
their checkpoint; the fold carries the one position to the other, so nothing has to stand still.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import psycopg

from projector.audit.against_lanes import heads_that_differ
from projector.audit.against_memory import MemoryComparison
from projector.audit.against_outboxes import look_at_outboxes
from projector.audit.against_tables import compare_tables
from projector.audit.compare import Finding
from projector.audit.conclusion import conclude, note, note_log
from projector.audit.fold_store import FoldStore
from projector.audit.kept_digests import read_kept
from projector.audit.log_fold import LogFold, LogSilent
from projector.audit.memory import memory_of
from projector.audit.result import Audited, AuditMarks, AuditResult
from projector.audit.scope import (
    PositionPassed,
    Scope,
    require_at,
    wait_for_checkpoint,
)
from projector.audit.table_scan import TableSnapshot, read_offsets, table_snapshot
from projector.audit.writer_sums import WriterSums
from projector.control_tables import Projection, connect, read_projection
from projector.control_topic import read_control
from projector.lanes import RecordRefused
from projector.log import Log, LogChanged
from projector.mends import read_mends
from projector.parked import parked_streams
from projector.sources import active_sources
from schemas.control import BarrierPlaced
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneBroken, LaneHead
from schemas.mend import Mend
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Settings

_ATTEMPTS = 3  # where a replay takes the tables back meanwhile


async def audit(
    settings: Settings,
    domain: Domain,
    *,
    with_memory: bool = True,
    with_tables: bool = True,
    tables: Sequence[str] = (),
    position: Mapping[int, int] | None = None,
    full: bool = False,
    timeout_s: float = 60.0,
) -> AuditResult:
    """Compare the three witnesses; everything may go on meanwhile. The options are `Scope`'s.

    Raises: SourceSilent, BarrierLate, FoldInUse and the errors of reaching Kafka or PostgreSQL.
            Disagreement is no error: it is in the result's findings, as are records that do not
            continue each other. Nor is an event that is parked, even where the log does not fold
            over it.
    """
    scope = Scope(with_memory, with_tables, tables, position, full, timeout_s)
    return (await audit_with_marks(settings, domain, scope)).result


async def audit_with_marks(
    settings: Settings, domain: Domain, scope: Scope, *, with_kept: bool = False
) -> Audited:
    """Do as `audit`; return the sums behind the result, too.

    `with_kept`: also what the tables kept, in the same snapshot (see `kept_digests`).
    """
    started = time.monotonic()
    run = _Run(settings, domain, scope, with_kept=with_kept)
    with closing(connect(settings, "audit")) as conn:
        await run.look(conn)
    run.result.seconds = time.monotonic() - started
    return Audited(run.result, run.marks)


class _Run:
    """One audit under way."""

    def __init__(
        self, settings: Settings, domain: Domain, scope: Scope, *, with_kept: bool
    ) -> None:
        self._with_kept = with_kept
        self._settings = settings
        self._domain = domain
        self._scope = scope
        self._tables = scope.tables_of(domain)
        self._name = settings.projection or domain.name
        self.marks = AuditMarks()
        self.result = AuditResult("", {}, {}, {}, {}, 0, 0, [], scope.with_memory, [], 0.0)
        self._broken: dict[int, FerryError] = {}
        self._memory: MemoryComparison | None = None

    async def look(self, conn: psycopg.Connection[Any]) -> None:
        """Compare everything that is asked for."""
        scope, result = self._scope, self.result
        projection = read_projection(conn, self._name)
        result.state = projection.state
        known = await read_control(conn, self._settings, keep=scope.with_memory)
        result.sources = sorted(known)
        mends = read_mends(conn, self._settings.topic)
        store = await asyncio.to_thread(self._open_store, projection)
        try:
            fold = LogFold(
                self._domain, projection.generation, known, mends, store, whole=self._scope.full
            )
            self._begin(fold, mends)
            topic = kafka_topic(self._settings.topic, projection.generation)
            async with Log(self._settings, topic) as log:
                await self._compare(conn, projection, fold, log, known, mends)
            fold.commit()
            conclude(
                conn, self._name, self._domain, self._tables,
                result=result, fold=fold, writers=self._writers,
            )  # fmt: skip
        finally:
            store.close()

    def _open_store(self, projection: Projection) -> FoldStore:
        directory = self._settings.audit_path
        if directory is None or self._scope.full:
            return FoldStore(None)
        name = f"{projection.name}-{projection.topic}.{projection.generation}.fold"
        return FoldStore(directory / name, self._scope.timeout_s)

    def _begin(self, fold: LogFold, mends: tuple[Mend, ...]) -> None:
        if any(fold.offsets.values()):
            self.result.continued_from = format_offsets(fold.offsets)
            self.result.coverage.append(
                f"the log below {self.result.continued_from} was folded by an earlier audit; "
                "--full reads it again"
            )
        self._writers = WriterSums(fold, fold.known_marks(), mends)

        def at_barrier(event: BarrierPlaced, source: str, partition: int, head: LaneHead) -> None:
            self._writers.at_barrier(event, source, partition)
            if self._memory is not None:
                self._memory.at_barrier(event, source, partition, head)

        fold.on_barrier = at_barrier

        async def learn() -> set[str]:
            # Not with the snapshot's connection, which is of an earlier moment, and reads only.
            with closing(connect(self._settings, "audit")) as other:
                return await read_control(other, self._settings, keep=self._scope.with_memory)

        fold.learn_sources = learn

    async def _compare(  # noqa: PLR0917
        self,
        conn: psycopg.Connection[Any],
        projection: Projection,
        fold: LogFold,
        log: Log,
        known: set[str],
        mends: tuple[Mend, ...],
    ) -> None:
        scope, result = self._scope, self.result
        active = active_sources(conn, self._settings.topic)
        result.memory_compared = scope.with_memory and bool(active)
        result.tables_compared = scope.with_tables
        live = projection.state == "live" and scope.position is None
        if scope.position is not None:
            await wait_for_checkpoint(
                self._settings, conn, self._name, scope.timeout_s, scope.position
            )
        if scope.with_tables and not live:  # they stay at an older position: it comes first
            await self._compare_tables(conn, fold, log, known, mends)
        if result.memory_compared:
            await self._compare_memory(conn, fold, log, active)
            await asyncio.to_thread(
                look_at_outboxes, conn, self._name, active, scope.timeout_s, result,
                whole=scope.full,
            )  # fmt: skip
        if scope.with_tables and live:
            if result.memory_compared:
                offsets = {p: o for p, o in fold.offsets.items() if p not in self._broken}
                await wait_for_checkpoint(
                    self._settings, conn, self._name, scope.timeout_s, offsets
                )
                result.state = read_projection(conn, self._name).state  # it may have gone back
            await self._compare_tables(conn, fold, log, known, mends)

    async def _compare_memory(
        self, conn: psycopg.Connection[Any], fold: LogFold, log: Log, active: list[str]
    ) -> None:
        names = [table.name for table in self._tables]
        timeout_s = self._scope.timeout_s
        self.result.memory_rows = dict.fromkeys(names, 0)
        asked = memory_of(conn, self._name, active, names, timeout_s)
        witnesses = await asyncio.to_thread(asked.__enter__)
        try:
            memory = self._memory = MemoryComparison(
                fold, witnesses, self._tables, log.partitions,
                result=self.result, marks=self.marks,
            )  # fmt: skip
            for partition in self._broken:
                memory.skip(partition)
            await fold.read(
                log, range(log.partitions), lambda p: not memory.left(p), timeout_s, self._on_broken
            )
        except (TimeoutError, LogSilent) as error:
            raise memory.late(log.topic) from error
        finally:
            self._memory = None
            asked.__exit__(None, None, None)

    async def _compare_tables(
        self,
        conn: psycopg.Connection[Any],
        fold: LogFold,
        log: Log,
        known: set[str],
        mends: tuple[Mend, ...],
    ) -> None:
        for _ in range(_ATTEMPTS):
            if await self._compare_tables_once(conn, fold, log, known, mends):
                return
        what = f"the tables went back {_ATTEMPTS} times while they were compared"
        raise PositionPassed(what, where=f"projection {self._name}", remedy="audit again later")

    async def _compare_tables_once(
        self,
        conn: psycopg.Connection[Any],
        fold: LogFold,
        log: Log,
        known: set[str],
        mends: tuple[Mend, ...],
    ) -> bool:
        """Compare; False where the tables went back behind what was read for it meanwhile."""
        result, own = self.result, fold
        near = read_offsets(conn, self._name)
        generation = read_projection(conn, self._name).generation
        if fold.is_ahead(near):  # a fold cannot go back: the log is read from its beginning
            own = LogFold(self._domain, generation, known, mends)
        try:
            # Most of it is read before the snapshot: a replay waits for that to end.
            await own.read_to(log, near, self._on_broken)
            with table_snapshot(conn, self._name) as snapshot:
                if own.is_ahead(snapshot.offsets):
                    return False
                result.position = format_offsets(snapshot.offsets)
                if self._scope.position is not None:
                    require_at(self._scope.position, snapshot.offsets, result.state)
                result.parked = parked_streams(conn, self._name)
                if self._with_kept:
                    self.marks.kept = read_kept(conn, self._name)
                await own.read_to(log, snapshot.offsets, self._on_broken)
                await self._compare_in(conn, own, snapshot, generation)
        finally:
            note_log(self.result, own)
            if own is not fold:
                result.events += own.events
                own.close()
        return True

    async def _compare_in(
        self,
        conn: psycopg.Connection[Any],
        fold: LogFold,
        snapshot: TableSnapshot,
        generation: int,
    ) -> None:
        result = self.result
        for found in heads_that_differ(conn, self._name, generation, fold, snapshot.offsets):
            note(self.result, found)
        unread = [p for p in self._broken if fold.offsets.get(p, 0) < snapshot.offsets[p]]
        if unread:
            result.tables_compared = False
            result.coverage.append(
                "tables: not compared, for the log cannot be read up to their position in "
                f"partitions {unread}"
            )
            return
        await asyncio.to_thread(
            compare_tables, fold.state, snapshot, self._tables, result, self.marks,
            full=self._scope.full,
        )  # fmt: skip

    def _on_broken(self, partition: int, error: FerryError) -> bool:
        """Make a finding of a log that is broken; the other partitions go on."""
        if not isinstance(error, LaneBroken | RecordRefused | LogChanged):
            return False
        self._broken[partition] = error
        if self._memory is not None:
            self._memory.skip(partition)
        note(self.result, Finding("log", "broken", "", error.where, detail=error.what))
        return True
