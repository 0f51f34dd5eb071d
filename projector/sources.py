"""The running apps as the read side reaches them: asked by rows and NOTIFY, answered by rows."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg

from projector.sql import query
from schemas.errors import FerryError
from schemas.requests import RequestKind

Progress = Callable[[Mapping[str, Any]], None]


class SourceSilent(FerryError):
    """A registered source did not answer: its app does not run, or has no control connection."""


class Asked:
    """Requests under way, one a source; removed, with what was answered, at the end."""

    def __init__(self, conn: psycopg.Connection[Any], requests: Mapping[str, uuid.UUID]) -> None:
        self._conn = conn
        self.requests = dict(requests)

    def answers(self, timeout_s: float, on_progress: Progress = lambda _: None) -> dict[str, Any]:
        """Return the answer of each source, as decoded JSON.

        `timeout_s` is the longest that a source may say nothing: progress counts as an answer.
        Raises: SourceSilent, naming the first source that failed or said nothing in time.
        """
        ids = list(self.requests.values())
        deadline = time.monotonic() + timeout_s
        heard: dict[str, Any] = {}
        while True:
            rows = self._conn.execute(query("request_read"), (ids,)).fetchall()
            found = {source: (state, detail, answer) for source, state, detail, answer in rows}
            answers = {source: answer for source, (_, _, answer) in found.items()}
            if answers != heard:
                heard, deadline = answers, time.monotonic() + timeout_s
                on_progress(answers)
            waiting = None
            for source in self.requests:
                state, detail, _ = found.get(source, ("failed", "the request is gone", None))
                if state == "failed":
                    raise _silent(source, detail)
                if state != "answered":
                    waiting = source
            if waiting is None:
                return answers
            left = deadline - time.monotonic()
            if left <= 0:
                raise _silent(waiting, "no answer in time")
            # Listening began before the question was asked: no answer is missed.
            for _ in self._conn.notifies(timeout=left, stop_after=1):
                pass


@contextmanager
def asking(
    conn: psycopg.Connection[Any],
    projection: str,
    sources: Sequence[str],
    kind: RequestKind,
    question: msgspec.Struct | None = None,
) -> Iterator[Asked]:
    """Ask each source something, on a connection in autocommit; take the requests back at the end.

    `memory` answers with rows of memferry.memory_row: read them before the end.
    """
    requests = {source: uuid.uuid4() for source in sources}
    conn.execute("LISTEN memferry_answer")
    try:
        text = None if question is None else msgspec.json.encode(question).decode()
        for source, request in requests.items():
            with conn.transaction():  # an app may look at any moment, and must see it whole
                conn.execute(
                    query("request_add"),
                    {"id": request, "projection": projection, "source": source, "kind": kind},
                )
                if text is not None:
                    conn.execute(query("request_question"), {"id": request, "question": text})
        conn.execute(query("request_notify"), (projection,))
        yield Asked(conn, requests)
    finally:
        if not conn.closed:
            conn.execute("UNLISTEN memferry_answer")
            conn.execute(query("request_drop"), (list(requests.values()),))


def active_sources(conn: psycopg.Connection[Any], topic: str) -> list[str]:
    """Return the sources that are registered and not retired."""
    rows = conn.execute(query("sources_read"), (topic,)).fetchall()
    return [name for name, _, retired in rows if retired is None]


def _silent(source: str, detail: str) -> SourceSilent:
    return SourceSilent(
        f"source {source!r} did not answer: {detail}",
        where=f"source {source}",
        remedy="start the app with `postgres.dsn` set, or retire the source; an audit can go "
        "`--without-memory`",
    )
