"""From a row on which witnesses differ to the first event after which they do.

The row's stream is read from the beginning of the log and folded step by step; the row as the
tables (and, where asked, memory) hold it is compared with what each event left.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from typing import Any

import msgspec
import psycopg

from projector.audit.judgement import Judgement, LogEvent, Step, judge
from projector.audit.log_fold import LogSilent
from projector.audit.memory import memory_of
from projector.audit.readable import Reading
from projector.audit.row_steps import RowSteps, stream_finder
from projector.audit.scope import TableUnknown
from projector.audit.table_scan import table_snapshot
from projector.control_tables import connect, read_projection
from projector.lanes import RecordRefused, open_record
from projector.log import Log
from projector.mends import read_mends
from projector.parked import parked_streams
from projector.sources import active_sources
from projector.voids import obeyed_by
from schemas.domain import Domain, Kind
from schemas.envelope import Envelope
from schemas.lane import partition_of
from schemas.mend import Mends
from schemas.position import format_offsets, kafka_topic
from schemas.requests import MemoryPart
from schemas.settings import Settings
from schemas.tables import Row, Table
from schemas.void import Voids

_FETCH = 10_000
_WAIT_MS = 200


class Bisection(msgspec.Struct):
    """What became of one row; `steps` are the events that moved its entity, oldest first."""

    table: str
    key: str
    stream: str
    """Empty where no event of the log makes the row."""
    position: str
    columns: list[str]
    steps: list[Step]
    held: list[str] | None
    """The row as stored, as text by column."""
    tables: Judgement
    in_memory: list[str] | None = None
    memory: Judgement | None = None
    """None where it was not asked."""
    parked: str = ""
    """Why the stream's events from one on are not applied, where they are not."""
    notes: list[str] = []

    @property
    def agrees(self) -> bool:
        """Whether every witness that was asked has the row as the log says."""
        asked = [self.tables, *([self.memory] if self.memory else [])]
        return all(found.verdict in {"equal", "absent"} for found in asked)


async def bisect(
    settings: Settings,
    domain: Domain,
    table: str,
    key: str,
    *,
    partition: int | None = None,
    with_memory: bool = False,
    timeout_s: float = 60.0,
) -> Bisection:
    """Say how a row of the tables, named by its key as text, stands to each event of its stream.

    `partition`: where to look for the row's events, where its key does not tell its stream.
    Raises: TableUnknown, LogSilent, SourceSilent, and the errors of reaching Kafka or PostgreSQL.
    """
    kind, declared = _table_of(domain, table)
    search = _Search(settings, kind, declared, key, timeout_s)
    with closing(connect(settings, "audit bisect")) as conn:
        return await search.run(conn, settings.projection or domain.name, partition, with_memory)


def _table_of(domain: Domain, name: str) -> tuple[Kind, Table]:
    for kind in domain.kinds:
        for table in kind.tables:
            if table.name == name:
                return kind, table
    raise TableUnknown(
        f"the domain {domain.name} has no table {name!r}",
        remedy=f"it has: {', '.join(domain.tables)}",
    )


class _Search:
    """One row's search."""

    def __init__(
        self, settings: Settings, kind: Kind, table: Table, key: str, timeout_s: float
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._table = table
        self._key = key
        self._timeout_s = timeout_s
        self._notes: list[str] = []
        self._bucket: int | None = None
        self._row: Row | None = None
        self._mends = Mends(0)
        self._voids = Voids(0)

    async def run(
        self,
        conn: psycopg.Connection[Any],
        projection: str,
        partition: int | None,
        with_memory: bool,
    ) -> Bisection:
        found = read_projection(conn, projection)
        topic = self._settings.topic
        self._mends = Mends(found.generation, read_mends(conn, topic))
        self._voids = obeyed_by(conn, topic, found.generation, projection)
        with table_snapshot(conn, projection) as snapshot:
            until = snapshot.offsets
            row = await asyncio.to_thread(snapshot.find, self._table, self._key)
            parked = {stream.stream: stream for stream in parked_streams(conn, projection)}
        held = None if row is None else tuple(row.texts)
        async with Log(self._settings, kafka_topic(topic, found.generation)) as log:
            stream, places = await self._place(log, until, found.partitions, partition)
            steps = await self._steps(log, stream, {p: until[p] for p in places}) if stream else []
            result = Bisection(
                self._table.name, self._key, stream, format_offsets(until),
                list(self._table.columns), steps, None if held is None else list(held),
                judge(self._table, steps, held), notes=self._notes,
            )  # fmt: skip
            if stream in parked:
                result.parked = (
                    f"from offset {parked[stream].record_offset} on, {parked[stream].events} "
                    f"events are parked: {parked[stream].reason}"
                )
            if with_memory:
                await self._look_at_memory(conn, projection, log, result, until)
        return self._readable(result)

    def _readable(self, result: Bisection) -> Bisection:
        reading = Reading(self._table.columns, self._row)
        result.steps, result.tables = reading.steps(result.steps), reading.judgement(result.tables)
        result.held, result.in_memory = reading.row(result.held), reading.row(result.in_memory)
        if result.memory is not None:
            result.memory = reading.judgement(result.memory)
        return result

    # --- the row's events

    async def _place(
        self, log: Log, until: Mapping[int, int], partitions: int, partition: int | None
    ) -> tuple[str, list[int]]:
        """Return the row's stream, and the partitions where its events are."""
        kind, table = self._kind, self._table
        if table.key[: len(kind.stream)] == kind.stream:
            parts = self._key.split("/")
            further = len(table.key) - len(kind.stream)
            stream = f"{kind.name}/{'/'.join(parts[: len(parts) - further])}"
            return stream, [partition_of(stream, partitions)]
        places = sorted(until) if partition is None else [partition]
        stream_of = stream_finder(kind, table, self._key)
        async for event, _ in self._events(log, {p: until.get(p, 0) for p in places}):
            stream = stream_of(event)
            if stream:
                return stream, [partition_of(stream, partitions)]
        self._notes.append(f"looked for the row's events in partitions {places}: there are none")
        return "", places

    async def _steps(self, log: Log, stream: str, until: Mapping[int, int]) -> list[Step]:
        steps = RowSteps(self._kind, self._table, self._key)
        async for event, place in self._events(log, until):
            if event.subject == stream:
                steps.add(event, place)
        self._bucket, self._row = steps.bucket, steps.row
        return steps.steps

    async def _events(
        self, log: Log, until: Mapping[int, int]
    ) -> AsyncIterator[tuple[Envelope, LogEvent]]:
        """Yield the events of some partitions from their beginning up to these offsets."""
        bounds = await log.bounds()
        begin = {p: bounds[p][0] for p in until if bounds[p][0] < until[p]}
        self._notes += [
            f"the log of partition {p} begins at offset {offset}: what was before it is not seen"
            for p, offset in begin.items()
            if offset > 0
        ]
        async for found in self._read(log, begin, until):
            yield found

    async def _read(
        self, log: Log, begin: Mapping[int, int], until: Mapping[int, int] | None = None
    ) -> AsyncIterator[tuple[Envelope, LogEvent]]:
        """Yield events, each once, in the order of each partition; without `until` no end."""
        await log.start_at(begin)
        seen: dict[tuple[str, int], int] = {}
        left = set(begin)
        heard = time.monotonic()
        while left:
            found = await log.fetch(_FETCH, _WAIT_MS)
            if found:
                heard = time.monotonic()
            elif time.monotonic() - heard > self._timeout_s:
                raise LogSilent(
                    f"the log gave nothing for {self._timeout_s} s",
                    where=f"topic {log.topic}, partitions {sorted(left)}",
                    remedy="look at Kafka, and try again",
                )
            for partition, records in found.items():
                end = math.inf if until is None else until[partition]
                for record in records:
                    event = self._admit(record, seen) if record.offset < end else None
                    if event is not None:
                        yield event, _place_of(event, record)
                if records and records[-1].offset + 1 >= end:
                    left.discard(partition)
                    log.leave(partition)

    def _admit(self, record: Any, seen: dict[tuple[str, int], int]) -> Envelope | None:
        """Return a record's event; None for duplicates, what a mend ignores, voids, and damage."""
        if self._mends.ignores(record.partition, record.offset):
            return None
        try:
            _, event, seq = open_record(record)
        except RecordRefused as refused:
            self._notes.append(f"{refused.where}: {refused.what}; it was passed over")
            return None
        lane = (event.source, record.partition)
        if seq <= seen.get(lane, 0):
            return None
        seen[lane] = seq
        if self._voids and self._voids.covers(*lane, seq, event.subject):
            return None
        return event

    # --- memory

    async def _look_at_memory(
        self,
        conn: psycopg.Connection[Any],
        projection: str,
        log: Log,
        result: Bisection,
        offsets: Mapping[int, int],
    ) -> None:
        if self._bucket is None:
            result.notes.append("memory: the log never had the row, so it cannot be asked for")
            return
        owner = result.steps[-1].event.source
        if owner not in active_sources(conn, self._settings.topic):
            result.notes.append(f"memory: source {owner}, which has the row, does not run")
            return
        partition = partition_of(result.stream, log.partitions)
        part = MemoryPart(partition, self._table.name, bucket=self._bucket)
        if self._table.windowed:
            part = MemoryPart(partition, self._table.name, stream=result.stream)
        with memory_of(conn, projection, [owner], [self._table.name], self._timeout_s) as (
            witness,
        ):
            rows = await asyncio.to_thread(witness.rows, [part])
            seq, _ = witness.answer.heads[partition]
        row = rows.get(self._key)
        held = None if row is None else tuple(row.texts)
        end = await self._offset_of(log, partition, offsets[partition], owner, seq)
        steps = await self._steps(log, result.stream, {partition: end})
        result.in_memory = None if held is None else list(held)
        if held is None and self._table.windowed:
            result.notes.append("memory: its window does not hold the row")
            return
        result.memory = judge(self._table, steps, held)

    async def _offset_of(self, log: Log, partition: int, begin: int, source: str, seq: int) -> int:
        """Return the offset behind a source's event, which comes at or after `begin`."""
        async for event, place in self._read(log, {partition: begin}):
            if event.source == source and place.seq >= seq:
                return place.offset + 1
        raise AssertionError("a log without an end has the event, or is silent")


def _place_of(event: Envelope, record: Any) -> LogEvent:
    return LogEvent(
        record.partition, record.offset, event.id, event.type, event.time, int(event.seq),
        event.source,
    )  # fmt: skip
