"""The third witness: the running app's memory, as it was at a barrier that it placed in the log."""

import time
import uuid
from typing import Any, NamedTuple

import psycopg

from projector.sql import query
from schemas.errors import FerryError

_POLL_S = 0.02


class MemorySilent(FerryError):
    """A registered source did not answer: its app does not run, or has no control connection."""


class MemoryRows(NamedTuple):
    """One source's answer: (partition, table) → key as text → digest."""

    source: str
    barrier: str
    rows: dict[tuple[int, str], dict[str, int]]


def ask(
    conn: psycopg.Connection[Any], projection: str, sources: list[str], timeout_s: float
) -> list[MemoryRows]:
    """Ask each source what its memory holds; return the answers.

    Raises: MemorySilent, naming the source, after `timeout_s`.
    """
    requests = {source: uuid.uuid4() for source in sources}
    for source, request in requests.items():
        conn.execute(
            query("memory_request_add"),
            {"id": request, "projection": projection, "source": source},
        )
    conn.execute(query("memory_request_notify"), (projection,))
    deadline = time.monotonic() + timeout_s
    answers = []
    try:
        for source, request in requests.items():
            _wait(conn, source, request, deadline)
            rows: dict[tuple[int, str], dict[str, int]] = {}
            for partition, table, key, digest in conn.execute(query("memory_rows"), (request,)):
                rows.setdefault((partition, table), {})[key] = int.from_bytes(digest, "big")
            answers.append(MemoryRows(source, str(request), rows))
    finally:
        for request in requests.values():
            conn.execute(query("memory_request_drop"), (request,))
    return answers


def _wait(conn: psycopg.Connection[Any], source: str, request: uuid.UUID, deadline: float) -> None:
    detail = "no answer"
    while time.monotonic() < deadline:
        row = conn.execute(query("memory_request_read"), (request,)).fetchone()
        state, detail = row or ("failed", "the request is gone")
        if state == "answered":
            return
        if state == "failed":
            break
        time.sleep(_POLL_S)
    raise MemorySilent(
        f"source {source!r} did not say what its memory holds: {detail or 'no answer in time'}",
        where=f"source {source}",
        remedy="start the app with `postgres.dsn` set, retire the source, or audit "
        "`--without-memory`",
    )
