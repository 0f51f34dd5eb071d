"""Memory against the fold of the log, partition by partition, at the barriers that the apps placed.

Sums are compared first. Only where they differ is an app asked for rows.
"""

from collections.abc import Iterable, Sequence

from projector.audit.compare import Finding, compare_rows, window_of
from projector.audit.log_fold import LogFold
from projector.audit.memory import MemoryWitness
from projector.audit.result import AuditMarks, AuditResult
from projector.audit.scope import BarrierLate
from schemas.control import BarrierPlaced
from schemas.digest import MODULUS
from schemas.lane import LaneHead
from schemas.requests import MemoryPart
from schemas.table_sums import Sums
from schemas.tables import Table

FINDINGS_MOST = 10_000
"""So many are named, of one table of a memory and of all tables together; all are counted."""
_WINDOW_MOST = 200_000
_STREAMS_ASKED = 200


class MemoryComparison:
    """Compares each source's memory as the fold comes by its barrier."""

    def __init__(
        self,
        fold: LogFold,
        witnesses: Sequence[MemoryWitness],
        tables: Iterable[Table],
        partitions: int,
        *,
        result: AuditResult,
        marks: AuditMarks,
    ) -> None:
        self._fold = fold
        self._by_barrier = {witness.answer.barrier: witness for witness in witnesses}
        self.todo = {(barrier, p) for barrier in self._by_barrier for p in range(partitions)}
        self._tables = tuple(tables)
        self._result = result
        self._marks = marks
        for witness in witnesses:
            if witness.answer.unrecorded:
                self._result.coverage.append(
                    f"memory of {witness.source}: {witness.answer.unrecorded:,} streams are not in "
                    "the log yet, and were not compared: the first snapshot brings them"
                )
            self._result.findings += [
                Finding("memory", "misplaced", "", said, detail=f"source {witness.source}")
                for said in witness.answer.misplaced
            ]

    def left(self, partition: int) -> bool:
        """Say whether the fold has still to come by a barrier in a partition."""
        return any(p == partition for _, p in self.todo)

    def late(self, topic: str) -> BarrierLate:
        """Return the error that names a barrier which has not come."""
        barrier, partition = min(self.todo)
        return BarrierLate(
            f"the barrier of source {self._by_barrier[barrier].source!r} is not in the log",
            where=f"topic {topic}, partition {partition}",
            remedy="is the relay running? `memferry status` shows where events wait",
        )

    def skip(self, partition: int) -> None:
        """Compare nothing more in a partition: the log cannot be read up to the barriers there."""
        self.todo = {(barrier, p) for barrier, p in self.todo if p != partition}

    def at_barrier(self, event: BarrierPlaced, source: str, partition: int, head: LaneHead) -> None:
        """Compare, where the barrier is of this audit."""
        if (event.barrier, partition) not in self.todo:
            return
        self.todo.remove((event.barrier, partition))
        witness = self._by_barrier[event.barrier]
        log = self._fold.state.sums_of(source, partition)
        self._marks.barriers.setdefault(source, {})[partition] = event
        self._marks.log_at_barrier.setdefault(source, {})[partition] = log
        self._compare_head(witness, partition, head)
        registered = witness.answer.tables
        for table in self._tables:
            if registered is not None and table.name not in registered:
                self._note_unregistered(witness.source, table, log.get(table.name) or Sums())
            elif table.windowed:
                self._compare_windows(witness, partition, table)
            else:
                self._compare_table(witness, partition, table, log.get(table.name) or Sums())

    def _note_unregistered(self, source: str, table: Table, log: Sums) -> None:
        """Say that memory could not be compared: the app has no container of the table, or not yet.

        Of facts memory keeps none, and windowed tables without a container are theirs, too.
        """
        said = (
            f"table {table.name}: source {source} has rows of it in the log and no container "
            "registered, or not yet: its memory was not compared"
        )
        if log.total_rows and not table.windowed and said not in self._result.coverage:
            self._result.coverage.append(said)

    def _compare_head(self, witness: MemoryWitness, partition: int, head: LaneHead) -> None:
        said = witness.answer.heads.get(partition)
        if said is not None and tuple(said) != (head.seq, head.digest):
            self._result.findings.append(
                Finding(
                    "log", "differs", "", f"lane {witness.source}, partition {partition}",
                    detail=f"its event {head.seq} has SHA-256 {head.digest[:12]}…, the app wrote "
                    f"event {said[0]} with {said[1][:12]}…",
                )
            )  # fmt: skip

    def _compare_table(
        self, witness: MemoryWitness, partition: int, table: Table, log: Sums
    ) -> None:
        memory = witness.sums(partition, table.name)
        self._count(table, memory.total_rows)
        buckets = memory.unlike(log)
        if not buckets:
            return
        parts = [MemoryPart(partition, table.name, bucket=bucket) for bucket in buckets]
        expected = self._fold.state.rows(
            table.name, buckets, source=witness.source, partition=partition
        )
        found = compare_rows("memory", table, expected, witness.rows(parts), FINDINGS_MOST)
        self._add(found)

    def _compare_windows(self, witness: MemoryWitness, partition: int, table: Table) -> None:
        state = self._fold.state
        unlike: list[tuple[str, int]] = []
        for stream, (rows, digests) in witness.streams(partition, table.name).items():
            self._count(table, rows)
            newest, expected, sources = state.newest_sums(table.name, partition, stream, rows)
            if (rows, digests % MODULUS, {witness.source}) != (newest, expected, sources):
                unlike.append((stream, rows))
        for stream, rows in unlike[:_STREAMS_ASKED]:
            found = witness.rows([MemoryPart(partition, table.name, stream=stream)])
            # Some of what memory holds may be older than its window would have it.
            log = state.newest(table.name, partition, stream, max(_WINDOW_MOST, rows))
            own = [row for row in log if row.source == witness.source]
            self._add(compare_rows("memory", table, window_of(own, found), found, FINDINGS_MOST))
        self._result.unnamed += sum(rows for _, rows in unlike[_STREAMS_ASKED:])

    def _count(self, table: Table, rows: int) -> None:
        counts = self._result.memory_rows
        counts[table.name] = counts.get(table.name, 0) + rows

    def _add(self, found: tuple[list[Finding], int]) -> None:
        self._result.findings += found[0]
        self._result.unnamed += found[1]
