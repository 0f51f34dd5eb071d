"""The third witness: the running app's memory, as it was at a barrier that it placed in the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg

from projector.audit.compare import FoundRow
from projector.sources import Asked, asking
from projector.sql import query
from schemas.requests import (
    MemoryAnswer,
    MemoryPart,
    MemoryQuestion,
    MemoryRowsQuestion,
)
from schemas.table_sums import Sums

_WINDOW = -1
"""The bucket under which a windowed stream's rows are summed up."""


class MemoryWitness:
    """What one source's memory held at its barrier: sums, and on demand the rows behind them."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        projection: str,
        source: str,
        request: Any,
        timeout_s: float,
    ) -> None:
        self._conn = conn
        self._projection = projection
        self._request = request
        self._timeout_s = timeout_s
        self.source = source
        self.answer = MemoryAnswer(str(request), {})
        self._sums: dict[tuple[int, str], Sums] = {}
        self._streams: dict[tuple[int, str], dict[str, tuple[int, int]]] = {}

    def hear(self, asked: Asked) -> None:
        """Wait for the answer, and read the sums beside it."""
        found = asked.answers(self._timeout_s)[self.source]
        self.answer = msgspec.convert(found, MemoryAnswer, strict=False)
        for partition, table, bucket, stream, rows, digest in self._conn.execute(
            query("memory_sums"), (self._request,)
        ):
            number = int.from_bytes(digest, "big")
            if bucket == _WINDOW:
                self._streams.setdefault((partition, table), {})[stream] = (rows, number)
            else:
                sums = self._sums.setdefault((partition, table), Sums())
                sums.add(bucket, number, rows)

    def sums(self, partition: int, table: str) -> Sums:
        """Return the sums of a table's rows in one partition."""
        return self._sums.get((partition, table)) or Sums()

    def streams(self, partition: int, table: str) -> dict[str, tuple[int, int]]:
        """Return of each stream of a windowed table its rows and their digests' sum."""
        return self._streams.get((partition, table), {})

    def rows(self, parts: Sequence[MemoryPart]) -> dict[str, FoundRow]:
        """Return rows by key, as they were at the barrier.

        Raises: SourceSilent where the app does not answer, or does not hold them any more.
        """
        question = MemoryRowsQuestion(str(self._request), list(parts))
        found: dict[str, FoundRow] = {}
        with asking(self._conn, self._projection, [self.source], "memory_rows", question) as asked:
            asked.answers(self._timeout_s)
            (request,) = asked.requests.values()
            for _, _, key, digest, texts in self._conn.execute(query("memory_rows"), (request,)):
                name = key if key not in found else f"{key} (a second time)"
                found[name] = FoundRow(int.from_bytes(digest, "big"), texts)
        return found


@contextmanager
def memory_of(
    conn: psycopg.Connection[Any],
    projection: str,
    sources: Sequence[str],
    tables: Sequence[str],
    timeout_s: float,
) -> Iterator[list[MemoryWitness]]:
    """Ask each source what its memory holds; the apps keep it until the end of the block.

    Raises: SourceSilent, naming the source, after `timeout_s`.
    """
    with asking(conn, projection, sources, "memory", MemoryQuestion(list(tables))) as asked:
        found = [
            MemoryWitness(conn, projection, source, request, timeout_s)
            for source, request in asked.requests.items()
        ]
        for witness in found:
            witness.hear(asked)
        yield found
