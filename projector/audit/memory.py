"""The third witness: the running app's memory, as it was at a barrier that it placed in the log."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from projector.sources import asking
from projector.sql import query


class MemoryRows(NamedTuple):
    """One source's answer: (partition, table) → key as text → digest."""

    source: str
    barrier: str
    rows: dict[tuple[int, str], dict[str, int]]


def ask(
    conn: psycopg.Connection[Any], projection: str, sources: Sequence[str], timeout_s: float
) -> list[MemoryRows]:
    """Ask each source what its memory holds; return the answers.

    Raises: SourceSilent, naming the source, after `timeout_s`.
    """
    answers = []
    with asking(conn, projection, sources, "memory") as asked:
        asked.answers(timeout_s)
        for source, request in asked.requests.items():
            rows: dict[tuple[int, str], dict[str, int]] = {}
            for partition, table, key, digest in conn.execute(query("memory_rows"), (request,)):
                rows.setdefault((partition, table), {})[key] = int.from_bytes(digest, "big")
            answers.append(MemoryRows(source, str(request), rows))
    return answers
