"""Memory, the fold of the log, and the tables, brought to one position and compared.

Memory is compared with the fold at the barrier that the app placed, the tables with the fold at
their checkpoint; the fold carries the one position to the other, so nothing has to stand still.
"""

import asyncio
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
from projector.audit.known import Known
from projector.audit.log_fold import LogFold, LogSilent
from projector.audit.memory import memory_of
from projector.audit.result import AuditMarks, AuditResult
from projector.audit.scope import (
    PositionPassed,
    Scope,
    require_at,
    wait_for_checkpoint,
)
from projector.audit.table_scan import TableSnapshot, table_snapshot
from projector.audit.writer_sums import WriterSums
from projector.checkpoint import offsets_of
from projector.control_tables import Projection, connect, read_projection
from projector.control_topic import read_control
from projector.lanes import RecordRefused
from projector.log import Log, LogChanged
from projector.parked import parked_streams
from projector.sources import active_sources
from schemas.control import BarrierPlaced
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneBroken, LaneHead
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Settings
from schemas.void import Voids

_ATTEMPTS = 3  # where a replay takes the tables back meanwhile


class Attempt:
    """One audit under way; begun anew where what is void changes meanwhile."""

    def __init__(
        self, settings: Settings, domain: Domain, scope: Scope, known: Known, *, with_kept: bool
    ) -> None:
        self._known = known
        self._with_kept = with_kept
        self._settings = settings
        self._domain = domain
        self._scope = scope
        self._tables = scope.tables_of(domain)
        self._name = settings.projection or domain.name
        self.marks = AuditMarks()
        self.result = AuditResult("", {}, {}, {}, {}, 0, 0, [], scope.with_memory, [], 0.0)
        self.result.sources = sorted(known.sources)
        self.result.voids = known.ids
        self._broken: dict[int, FerryError] = {}
        self._memory: MemoryComparison | None = None

    async def look(self, conn: psycopg.Connection[Any]) -> None:
        """Compare everything that is asked for."""
        result = self.result
        projection = read_projection(conn, self._name)
        result.state = projection.state
        store = await asyncio.to_thread(self._open_store, projection)
        try:
            known = self._known
            fold = LogFold(
                self._domain, projection.generation, known.sources, known.mends, store,
                voids=known.in_force, whole=self._scope.full,
            )  # fmt: skip
            self._begin(fold)
            topic = kafka_topic(self._settings.topic, projection.generation)
            async with Log(self._settings, topic) as log:
                await self._compare(conn, projection, fold, log)
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

    def _begin(self, fold: LogFold) -> None:
        if any(fold.offsets.values()):
            self.result.continued_from = format_offsets(fold.offsets)
            self.result.coverage.append(
                f"the log below {self.result.continued_from} was folded by an earlier audit; "
                "--full reads it again"
            )
        known = self._known
        self._writers = WriterSums(fold, fold.known_marks(), known.mends, known.in_force)
        fold.on_mark = self._writers.forget

        def at_barrier(event: BarrierPlaced, source: str, partition: int, head: LaneHead) -> None:
            self._writers.at_barrier(event, source, partition, head.seq)
            if self._memory is not None:
                self._memory.at_barrier(event, source, partition, head)

        fold.on_barrier = at_barrier

        async def learn() -> set[str]:
            # Not with the snapshot's connection, which is of an earlier moment, and reads only.
            with closing(connect(self._settings, "audit")) as other:
                return await read_control(other, self._settings, keep=self._scope.with_memory)

        fold.learn_sources = learn

    async def _compare(
        self, conn: psycopg.Connection[Any], projection: Projection, fold: LogFold, log: Log
    ) -> None:
        scope, result = self._scope, self.result
        active = active_sources(conn, self._settings.topic)
        result.memory_compared = scope.with_memory and bool(active)
        result.tables_compared = scope.with_tables
        self._note_unlike(projection)
        live = projection.state == "live" and scope.position is None and not self._known.unlike
        if scope.position is not None:
            await wait_for_checkpoint(
                self._settings, conn, self._name, scope.timeout_s, scope.position
            )
        if scope.with_tables and not live:  # they stay at an older position: it comes first
            await self._compare_tables(conn, fold, log)
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
            await self._compare_tables(conn, fold, log)

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

    async def _compare_tables(self, conn: psycopg.Connection[Any], fold: LogFold, log: Log) -> None:
        for _ in range(_ATTEMPTS):
            if await self._compare_tables_once(conn, fold, log):
                return
        what = f"the tables went back {_ATTEMPTS} times while they were compared"
        raise PositionPassed(what, where=f"projection {self._name}", remedy="audit again later")

    async def _compare_tables_once(
        self, conn: psycopg.Connection[Any], fold: LogFold, log: Log
    ) -> bool:
        """Compare; False where the tables went back behind what was read for it meanwhile."""
        result, own = self.result, fold
        near = offsets_of(conn, self._name)
        generation = read_projection(conn, self._name).generation
        known = self._known
        # A fold cannot go back, nor be another one: the log is read from its beginning.
        if known.unlike:  # what these tables were made of is told by other marks
            own = self._fold(generation, known.obeyed)
        elif fold.is_ahead(near):
            own = self._fold(generation, known.in_force)
        try:
            # Most of it is read before the snapshot: a replay waits for that to end.
            await own.read_to(log, near, self._on_broken)
            with table_snapshot(conn, self._name) as snapshot:
                known.require_obeyed(conn, self._name, snapshot.obeyed)
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

    def _fold(self, generation: int, voids: Voids) -> LogFold:
        known = self._known
        return LogFold(self._domain, generation, known.sources, known.mends, voids=voids)

    def _note_unlike(self, projection: Projection) -> None:
        """Say of voids that the tables contradict: no run that died is finished by an audit."""
        if not self._scope.with_tables:
            return
        for void in self._known.unlike:
            there = void in self.result.voids
            said = (
                f"void {void} is in the log and not in the tables" if there
                else f"void {void} was reversed in the log, and not in the tables"
            )  # fmt: skip
            if projection.state == "held":  # they stay as they were
                self.result.coverage.append(said)
                continue
            detail = f"{said}: `memferry replay --to-end`"
            note(self.result, Finding("tables", "void", "", f"void {void}", detail=detail))

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
