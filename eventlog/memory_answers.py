"""What an audit is told of memory: sums as they were at a barrier, and later the rows behind some.

What memory held is kept for a while, as references: entities that were replaced since live on.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from eventlog.extraction.survey import ENTITIES_A_BREATH
from eventlog.recorder import Recorder
from eventlog.stores import StoreCopy
from schemas.digest import MODULUS, Digest, digest_of, value_text
from schemas.domain import Kind
from schemas.errors import FerryError
from schemas.lane import partition_of
from schemas.requests import MemoryAnswer, MemoryPart, MemoryQuestion, MemoryRowsQuestion
from schemas.sql import statement
from schemas.table_sums import Sums
from schemas.tables import Row, Table, key_text

if TYPE_CHECKING:
    from eventlog.listener import Connection

_DURABLE_S = 10.0
_KEPT = 2
"""Audits of which what memory held is kept at most."""
_KEPT_S = 300.0
_LOOK_S = 5.0
_NAMED_MOST = 20
_WINDOW = -1
"""The bucket of a windowed stream's rows: they are summed up by stream."""
Memory = list[tuple[Kind, StoreCopy]]
Breathe = Callable[[], None]
Found = tuple[int, str, Table, Row, int, int]
"""Partition, stream, table, row, bucket, digest."""


SumRow = tuple[int, str, int, str, int, bytes]
"""As a row of memferry.memory_sum, behind its request."""


class MemoryAnswers:
    """Answers for one app; used by one thread."""

    def __init__(self, ferry: Recorder) -> None:
        self._ferry = ferry
        self._kept: dict[str, tuple[float, Memory, frozenset[str]]] = {}
        self._next_look = 0.0

    def sums(
        self, request: Any, question: MemoryQuestion, breathe: Breathe
    ) -> tuple[MemoryAnswer, list[SumRow]]:
        """Place a barrier; return where it stands and what memory held there, summed up.

        `breathe` is called every few entities.
        """
        # Not the request's name: it may be answered a second time, and that is another barrier.
        barrier = self._ferry.place_barrier(str(uuid.uuid4()), "audit")
        registered = sorted({table.name for kind, _ in barrier.memory for table in kind.tables})
        memory = [pair for pair in barrier.memory if _asked(pair[0], question.tables)]
        self._keep(str(request), memory, barrier.unrecorded)
        misplaced = _named(said for _, copy in memory for said in copy.misplaced())
        tables: dict[tuple[int, str], Sums] = {}
        windows: dict[tuple[int, str, str], list[int]] = {}
        for partition, stream, table, _, bucket, digest in self._rows(
            memory, question.tables, breathe, barrier.unrecorded
        ):
            if table.windowed:
                of_stream = windows.setdefault((partition, table.name, stream), [0, 0])
                of_stream[0] += 1
                of_stream[1] += digest
            else:
                tables.setdefault((partition, table.name), Sums()).add(bucket, digest)
        barrier.receipts[-1].durable(_DURABLE_S)  # all are one transaction of the outbox
        waiting = len(barrier.unrecorded)
        answer = MemoryAnswer(barrier.name, barrier.heads(), misplaced, registered, waiting)
        return answer, list(_summed(tables, windows))

    def rows(
        self, conn: "Connection", request: Any, question: MemoryRowsQuestion, breathe: Breathe
    ) -> None:
        """Write rows of what memory held for an earlier answer; raises FerryError: it is gone."""
        self._let_go(conn)
        if question.request not in self._kept:
            raise FerryError(
                f"what memory held for audit {question.request} is not kept any more: it is for "
                f"{_KEPT_S:.0f} s, of the newest {_KEPT} audits, while their request is there"
            )
        _, memory, unrecorded = self._kept[question.request]
        names = {part.table for part in question.parts}
        wanted = _wanted(question.parts)
        memory = [pair for pair in memory if _asked(pair[0], names)]
        with conn.cursor() as cursor, cursor.copy(statement("memory_row_copy")) as copy:
            for partition, stream, table, row, bucket, digest in self._rows(
                memory, names, breathe, unrecorded
            ):
                if wanted(partition, table, bucket, stream):
                    texts = msgspec.json.encode([value_text(value) for value in row])
                    key = key_text(table.key_of(row)).replace("\0", "\ufffd")
                    copy.write_row(
                        (request, partition, table.name, key,
                         (digest % MODULUS).to_bytes(16, "big"),
                         texts.decode().replace("\\u0000", "\\ufffd"))
                    )  # fmt: skip

    def tick(self, conn: "Connection") -> None:
        """Let go of what nobody will ask for any more."""
        if self._kept and time.monotonic() >= self._next_look:
            self._let_go(conn)

    def _keep(self, request: str, memory: Memory, unrecorded: frozenset[str]) -> None:
        self._kept[request] = (time.monotonic() + _KEPT_S, memory, unrecorded)
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        self._next_look = time.monotonic() + _LOOK_S

    def _let_go(self, conn: "Connection") -> None:
        now = time.monotonic()
        self._next_look = now + _LOOK_S
        found = conn.execute(statement("requests_there"), (list(self._kept),)).fetchall()
        there = {str(request) for (request,) in found}
        self._kept = {
            name: kept for name, kept in self._kept.items() if name in there and now < kept[0]
        }

    def _rows(
        self,
        memory: Memory,
        tables: Collection[str],
        breathe: Breathe,
        unrecorded: frozenset[str],
    ) -> Iterator[Found]:
        """Yield the rows of entities, digested, in breaths: the app's threads want the interpreter.

        What is no entity has no rows: it is named as misplaced. What waits for its first snapshot
        has none yet.
        """
        partitions = self._ferry.identity.partitions
        for kind, copy in memory:
            stream_of, rows_of, cls = kind.stream_getter(), kind.rows, kind.entity
            asked = [table for table in kind.tables if not tables or table.name in tables]
            digests: dict[Table, Digest] = {table: digest_of(table) for table in asked}
            for number, entity in enumerate(copy()):
                if number % ENTITIES_A_BREATH == 0:
                    time.sleep(0)
                    breathe()
                if type(entity) is not cls:
                    continue
                stream = stream_of(entity)
                if stream in unrecorded:
                    continue
                partition = partition_of(stream, partitions)
                for table, row in rows_of(entity):
                    digest = digests.get(table)
                    if digest is not None:
                        yield (partition, stream, table, row, *digest(row))


def _asked(kind: Kind, tables: Collection[str]) -> bool:
    return not tables or any(table.name in tables for table in kind.tables)


def _named(misplaced: Iterable[str]) -> list[str]:
    """Return the first of many, and how many there are beside them."""
    found = iter(misplaced)
    named = list(islice(found, _NAMED_MOST))
    more = sum(1 for _ in found)
    return [*named, f"and {more:,} more"] if more else named


def _wanted(parts: Iterable[MemoryPart]) -> Callable[[int, Table, int, str], bool]:
    buckets = {(p.partition, p.table, p.bucket) for p in parts if p.bucket is not None}
    streams = {(p.partition, p.table, p.stream) for p in parts if p.stream is not None}

    def wanted(partition: int, table: Table, bucket: int, stream: str) -> bool:
        return (partition, table.name, bucket) in buckets or (
            (partition, table.name, stream) in streams
        )

    return wanted


def _summed(
    tables: dict[tuple[int, str], Sums], windows: dict[tuple[int, str, str], list[int]]
) -> Iterator[SumRow]:
    for (partition, table), sums in tables.items():
        for bucket, (rows, digest) in enumerate(zip(sums.rows, sums.digests, strict=True)):
            if rows:
                yield partition, table, bucket, "", rows, (digest % MODULUS).to_bytes(16, "big")
    for (partition, table, stream), (rows, digest) in windows.items():
        name = stream.replace("\0", "\ufffd")
        yield partition, table, _WINDOW, name, rows, (digest % MODULUS).to_bytes(16, "big")
