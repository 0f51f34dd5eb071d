"""One audit: memory, the fold of the log, and the tables, brought to one position and compared.

Memory is compared with the fold at the barrier that the app placed, the tables with the fold at
their checkpoint; the fold carries the one position to the other, so nothing has to stand still.
"""

import asyncio
import time
from typing import Any

import msgspec
import psycopg

from projector.audit.compare import Finding, compare_memory, compare_table, with_reasons
from projector.audit.log_fold import FoldFailed, LogFold, LogSilent
from projector.audit.memory import MemoryRows, ask
from projector.audit.table_scan import table_snapshot
from projector.control_tables import connect, read_projection
from projector.control_topic import read_control
from projector.fingerprint import changed_parts
from projector.log import Log
from projector.mends import read_mends
from projector.parked import ParkedStream, parked_streams
from projector.sources import active_sources
from projector.sql import query
from projector.waiting import PositionGoal, wait_until
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Settings


class BarrierLate(FerryError):
    """The barrier of an audit did not reach the log or the tables in time."""


class AuditResult(msgspec.Struct):
    """What the witnesses say; `equal` names every table."""

    position: str
    equal: dict[str, bool]
    rows: dict[str, int]
    memory_rows: dict[str, int]
    events: int
    duplicates_in_log: int
    sources: list[str]
    memory_compared: bool
    findings: list[Finding]
    seconds: float
    parked: list[ParkedStream] = []
    """Streams whose rows are not what the log says, for a known reason, at the tables' position."""
    changed: dict[str, list[str]] = {}
    """Kind → what of this audit's code is not what the rows were made with."""

    @property
    def all_equal(self) -> bool:
        """Whether every table, and memory where it was asked, agrees with the log; none parked."""
        return all(self.equal.values()) and not self.parked


async def audit(
    settings: Settings,
    domain: Domain,
    *,
    with_memory: bool = True,
    with_tables: bool = True,
    timeout_s: float = 60.0,
) -> AuditResult:
    """Compare the three witnesses; everything may go on meanwhile.

    Without memory nothing is written anywhere: no barrier, no row. Without tables no projector is
    needed.
    Raises: SourceSilent, BarrierLate, LaneBroken, FoldFailed and the errors of reaching Kafka or
            PostgreSQL. Disagreement is no error: it is in the result's findings. Nor is an event
            that is parked, even where the log does not fold over it.
    """
    started = time.monotonic()
    name = settings.projection or domain.name
    conn = connect(settings, "audit")
    try:
        projection = read_projection(conn, name)
        known = await read_control(conn, settings, keep=with_memory)
        mends = read_mends(conn, settings.topic)
        fold = LogFold(domain, projection.generation, known, mends)
        unfolded: dict[str, FoldFailed] = {}
        fold.on_failure = unfolded.setdefault
        async with Log(settings, kafka_topic(settings.topic, projection.generation)) as log:
            result = AuditResult("", {}, {}, {}, 0, 0, sorted(known), with_memory, [], 0.0)
            active = active_sources(conn, settings.topic)
            result.memory_compared = with_memory and bool(active)
            if result.memory_compared:
                answers = await asyncio.to_thread(ask, conn, name, active, timeout_s)
                if not with_tables:
                    await _audit_memory(fold, log, domain, answers, result, timeout_s)
                elif projection.state == "live":
                    await _audit_memory(fold, log, domain, answers, result, timeout_s)
                    await _wait_for_checkpoint(settings, conn, name, timeout_s, fold.offsets)
                    await _audit_tables(conn, name, fold, log, domain, result)
                else:  # the tables stay at an older position: it comes first
                    await _audit_tables(conn, name, fold, log, domain, result)
                    await _audit_memory(fold, log, domain, answers, result, timeout_s)
            elif with_tables:
                await _audit_tables(conn, name, fold, log, domain, result)
        if not with_tables:
            result.parked = parked_streams(conn, name)
        parked = {stream.stream for stream in result.parked}
        for stream, failed in unfolded.items():
            if stream not in parked:
                raise failed
        result.findings = with_reasons(result.findings, parked, domain)
        result.changed = changed_parts(conn, name, domain)
        unequal = {finding.table for finding in result.findings}
        result.equal = {table: table not in unequal for table in domain.tables}
        result.events, result.duplicates_in_log = fold.events, fold.duplicates
        result.seconds = time.monotonic() - started
        return result
    finally:
        conn.close()


async def _audit_memory(  # noqa: PLR0917
    fold: LogFold,
    log: Log,
    domain: Domain,
    answers: list[MemoryRows],
    result: AuditResult,
    timeout_s: float,
) -> None:
    by_barrier = {answer.barrier: answer for answer in answers}
    todo = {(answer.barrier, p) for answer in answers for p in range(log.partitions)}
    result.memory_rows = dict.fromkeys(domain.tables, 0)

    def at_barrier(barrier: str, partition: int) -> None:
        if (barrier, partition) not in todo:
            return  # another audit's
        todo.remove((barrier, partition))
        answer, expected = by_barrier[barrier], fold.rows(partition)
        for table in domain.tables.values():
            found = answer.rows.get((partition, table.name), {})
            result.memory_rows[table.name] += len(found)
            result.findings += compare_memory(table, answer.source, expected, found)

    fold.on_barrier = at_barrier
    try:
        await fold.read(
            log, range(log.partitions), lambda p: all(left != p for _, left in todo), timeout_s
        )
    except (TimeoutError, LogSilent) as error:
        barrier, partition = next(iter(todo))
        raise BarrierLate(
            f"the barrier of source {by_barrier[barrier].source!r} is not in the log",
            where=f"topic {log.topic}, partition {partition}",
            remedy="is the relay running? `memferry status` shows where events wait",
        ) from error


async def _wait_for_checkpoint(
    settings: Settings, conn: psycopg.Connection[Any], name: str, timeout_s: float,
    offsets: dict[int, int],
) -> None:  # fmt: skip
    goal = PositionGoal(offsets, despite_parked=True)
    if (await wait_until(settings, name, goal, timeout_s)).reached:
        return
    rows = conn.execute(query("checkpoint_read"), (name,)).fetchall()
    partition, applied, stopped, *_ = next(r for r in rows if r[1] < offsets.get(r[0], 0))
    raise BarrierLate(
        f"the tables did not reach the audit's barrier: partition {partition} is at offset "
        f"{applied}, the barrier at {offsets[partition]}"
        + (f"; it stopped: {stopped.splitlines()[0]}" if stopped else ""),
        where=f"projection {name}",
        remedy="is the projector running? start `memferry project`",
    )


async def _audit_tables(  # noqa: PLR0917
    conn: psycopg.Connection[Any],
    name: str,
    fold: LogFold,
    log: Log,
    domain: Domain,
    result: AuditResult,
) -> None:
    with table_snapshot(conn, name) as snapshot:
        result.position = format_offsets(snapshot.offsets)
        result.parked = parked_streams(conn, name)
        await fold.read_to(log, snapshot.offsets)
        expected = [fold.rows(partition) for partition in snapshot.offsets]
        for table in domain.tables.values():
            result.rows[table.name] = sum(len(rows[table.name]) for rows in expected)
            result.findings += compare_table(table, expected, snapshot.rows(table))
